"""Finding a function by its documentation: mean reciprocal rank of the landmarks, of BM25, and of both by reciprocal rank fusion."""

import math
import re
from collections import Counter

import numpy as np
import torch

from .model import Model
from .pairs import encode_pairs, load_pairs
from .samples import Sampler


def words(text: str) -> list[str]:
    """Lower-case parts of identifiers."""
    return [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", text)]


def bm25(queries: list[str], documents: list[str], k1: float = 1.2, b: float = 0.75) -> np.ndarray:
    """Scores [queries, documents]."""
    counts = [Counter(words(d)) for d in documents]
    lengths = np.array([sum(c.values()) for c in counts])
    df = Counter(w for c in counts for w in c)
    out = np.zeros((len(queries), len(documents)))
    for q, query in enumerate(queries):
        for w in set(words(query)):
            tf = np.array([c[w] for c in counts], dtype=float)
            idf = math.log(1 + (len(documents) - df[w] + 0.5) / (df[w] + 0.5))
            out[q] += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * lengths / lengths.mean()))
    return out


def ranks(scores: np.ndarray) -> np.ndarray:
    """Rank of every document for every query, 1 = best; ties get the worst rank, so that equal scores earn nothing."""
    return (scores[:, None, :] >= scores[:, :, None]).sum(-1)


def reciprocal(rank: np.ndarray) -> float:
    return float((1 / np.diagonal(rank)).mean())


@torch.no_grad()
def search_quality(model: Model, sampler: Sampler, split: str, n: int) -> dict:
    pairs = load_pairs(split)[:n]
    docs, asks, code, valid = (torch.from_numpy(a) for a in encode_pairs(sampler, pairs))
    at_ask = model.landmark_input(docs)[torch.arange(len(asks)), asks]
    keys = model.landmarks(model.landmark_input(code), valid)
    learned = ranks((model.route_query(at_ask, model.config.landmark_layer) @ keys.T).numpy())
    lexical = ranks(bm25([doc for _, doc, _ in pairs], [function for _, _, function in pairs]))
    fused = ranks(1 / (60 + learned) + 1 / (60 + lexical))
    return {"candidates": len(pairs), "landmarks": reciprocal(learned), "BM25": reciprocal(lexical), "fused": reciprocal(fused)}
