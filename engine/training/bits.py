"""Bits per byte of held-out text."""

import math

import numpy as np
import torch

from .corpus import Corpus
from .model import Model
from .samples import Sampler
from .tokenizer import EOT, PAD


def held_out_rows(sampler: Sampler, n_rows: int, length: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Starts of held-out files: ids [n_rows, length] and, per id, the bytes of text it stands for (0 for header, padding, <|eot|>)."""
    rng, corpus = np.random.default_rng(seed), sampler.corpus
    rows, sizes = np.full((n_rows, length), PAD), np.zeros((n_rows, length), dtype=int)
    for r in range(n_rows):
        file = corpus.files[corpus.draw(rng)]
        ids = sampler.plain(file, corpus.text(file), length)
        header = len(sampler.header(file))
        rows[r, : len(ids)] = ids
        sizes[r, header : len(ids)] = [n_bytes(sampler, i) for i in ids[header:]]
    return rows, sizes


def n_bytes(sampler: Sampler, token: int) -> int:
    # A byte-level piece has one character per byte.
    return 0 if token <= EOT else len(sampler.tokenizer.id_to_token(token))


@torch.no_grad()
def bits_per_byte(model: Model, rows: np.ndarray, sizes: np.ndarray, batch: int = 8) -> float:
    nats = 0.0
    for start in range(0, len(rows), batch):
        ids = torch.from_numpy(rows[start : start + batch])
        log_p = torch.log_softmax(model(ids[:, :-1]), dim=-1).gather(-1, ids[:, 1:, None])[..., 0]
        nats -= float((log_p * torch.from_numpy(sizes[start : start + batch, 1:] > 0)).sum())
    return nats / math.log(2) / float(sizes[:, 1:].sum())


def validation_sampler(sampler: Sampler, split: str = "validation") -> Sampler:
    return Sampler(Corpus(split), sampler.tokenizer, sampler.config)
