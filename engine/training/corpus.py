"""Reads what prepare.py wrote: text of files by split, and weights for drawing them by the language mix."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .paths import DATA
from .sources import GROUPS, MIX


@dataclass(frozen=True)
class File:
    repository: int
    path: str
    language: str
    offset: int
    length: int  # bytes

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


class Corpus:
    def __init__(self, split: str):
        path = DATA / f"{split}.json"
        if not path.exists():
            raise SystemExit(f"{path} is missing: run `python -m training.prepare --snapshots DIR` first.")
        index = json.loads(path.read_text())
        self.repositories: list[str] = index["repositories"]
        self.files = [File(*entry) for entry in index["files"]]
        self.bytes = np.memmap(DATA / f"{split}.bin", dtype=np.uint8, mode="r")

    def text(self, file: File) -> str:
        return bytes(self.bytes[file.offset : file.offset + file.length]).decode()

    @cached_property
    def by_repository(self) -> list[list[int]]:
        groups: list[list[int]] = [[] for _ in self.repositories]
        for i, file in enumerate(self.files):
            groups[file.repository].append(i)
        return groups

    @cached_property
    def cumulative(self) -> np.ndarray:
        """Cumulative probability of drawing each file: language mix, then square root of a repository's size, then the file's length."""
        group_size: dict[tuple[str, int], int] = {}
        for file in self.files:
            key = (GROUPS[file.language], file.repository)
            group_size[key] = group_size.get(key, 0) + file.length
        group_total = {g: sum(v**0.5 for (h, _), v in group_size.items() if h == g) for g in MIX}
        p = np.array([MIX[g := GROUPS[f.language]] * group_size[g, f.repository] ** -0.5 / group_total[g] * f.length for f in self.files])
        return np.cumsum(p / p.sum())

    def draw(self, rng: np.random.Generator) -> int:
        return int(np.searchsorted(self.cumulative, rng.random()))
