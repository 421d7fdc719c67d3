"""Batches of (documentation, function) pairs for the contrast between a question in words and a landmark of code."""

import json
from functools import cache

import numpy as np

from .paths import DATA
from .samples import Sampler
from .tokenizer import ASK, DOC, FILE

DOC_TOKENS, CODE_TOKENS = 32, 96


@cache
def load_pairs(split: str) -> list[list[str]]:
    path = DATA / f"{split}-pairs.json"
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `python -m training.docstrings` first.")
    return json.loads(path.read_text())


def encode_pairs(sampler: Sampler, pairs: list[list[str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """doc ids [P, 32], position of <|ask|> [P], code ids [P, 96], tokens that count for the landmark [P, 96]."""
    docs, asks = np.zeros((len(pairs), DOC_TOKENS), dtype=int), np.zeros(len(pairs), dtype=int)
    code, valid = np.zeros((len(pairs), CODE_TOKENS), dtype=int), np.zeros((len(pairs), CODE_TOKENS), dtype=bool)
    for p, (path, doc, function) in enumerate(pairs):
        ids = [DOC, *sampler.encode(" " + doc)[: DOC_TOKENS - 2], ASK]
        docs[p, : len(ids)], asks[p] = ids, len(ids) - 1
        header = [FILE, *sampler.encode(path)[-24:]]
        ids = (header + sampler.encode("\n" + function))[:CODE_TOKENS]
        code[p, : len(ids)] = ids
        valid[p, len(header) : len(ids)] = True
    return docs, asks, code, valid


def draw_pairs(sampler: Sampler, rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    pairs = load_pairs("train")
    return encode_pairs(sampler, [pairs[i] for i in rng.integers(len(pairs), size=n)])
