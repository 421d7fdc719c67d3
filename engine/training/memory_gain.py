"""What memory is worth: bits per byte of held-out files without memory, with five files of their own repository, and with five of another."""

import math

import numpy as np
import torch

from .bits import n_bytes
from .groups import IMPORTED, KIN_ROWS, OTHER, draw_group
from .model import Memory, Model, srms
from .samples import Sampler
from .tokenizer import PAD, is_memory

READERS = ("none", "own", "stranger", "own, routed")


def routed_classes(model: Model, u: torch.Tensor, landmarks: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Class of every memory token for every group of tokens [groups, M]: only the best blocks by the mean query of the group before
    are visible, so that no choice looks ahead (the first group uses its own first token)."""
    config = model.config
    n_groups = math.ceil(len(u) / config.route_group)
    queries = [u[0]] + [u[g * config.route_group : (g + 1) * config.route_group].mean(0) for g in range(n_groups - 1)]
    scores = model.route_query(torch.stack(queries), config.memory_layer) @ landmarks.T
    best = scores.topk(min(config.route_top_blocks, scores.shape[1]), dim=1).indices
    visible = torch.zeros_like(scores, dtype=torch.bool).scatter(1, best, True).repeat_interleave(config.block_size, dim=1)
    return torch.where(visible, classes[None], -1)


def forward_routed(model: Model, h: torch.Tensor, memory: Memory, landmarks: torch.Tensor) -> torch.Tensor:
    """Like model.above for one row [1, n, d], the memory layer choosing its blocks by routing."""
    config, group = model.config, model.config.route_group
    reader, *rest = model.blk[config.memory_layer :]
    by_group = routed_classes(model, srms(h[0], config.norm_eps), landmarks, memory.classes[0])
    # One pass per group of tokens with that group's blocks; only the group's own rows are kept.
    out = torch.empty_like(h)
    for g in range(len(by_group)):
        rows = slice(g * group, (g + 1) * group)
        seen = by_group[g] >= 0
        chosen = Memory(memory.keys[:, seen], memory.values[:, seen], memory.classes[:, seen])
        out[:, rows] = reader(h[:, : (g + 1) * group], chosen, None)[0][:, rows]
    for block in rest:
        out, _ = block(out, None, None)
    return out


@torch.no_grad()
def memory_gain(model: Model, sampler: Sampler, n_groups: int, length: int, seed: int = 3) -> list[dict]:
    """Per group: bytes, bits for every reader, and whether an imported file is among the memory."""
    rng = np.random.default_rng(seed)
    groups = [draw_group(sampler, rng, length, plain_only=True) for _ in range(n_groups)]
    size = model.config.block_size
    encoded = []
    for group in groups:
        ids = torch.from_numpy(group.ids[1:KIN_ROWS])
        h, u = model.below(ids)
        keys, values = model.memory_of(h)
        blocks = (ids != PAD).reshape(-1, size)
        blocks[:, 0] = True
        encoded.append((keys.flatten(0, 1), values.flatten(0, 1), is_memory(ids).flatten(), model.landmarks(u.reshape(len(blocks), size, -1), blocks)))
    results = []
    for g, group in enumerate(groups):
        other = next(o for o in (*range(g + 1, n_groups), *range(g)) if groups[o].repository != group.repository)
        row = group.ids[0][group.ids[0] != PAD]
        ids = torch.from_numpy(row)[None]
        h, _ = model.below(ids[:, :-1])
        weights = torch.tensor([n_bytes(sampler, int(i)) for i in row[1:]], dtype=torch.float)
        bits = {}
        for reader in READERS:
            keys, values, seen, landmarks = encoded[other if reader == "stranger" else g]
            own = torch.from_numpy(group.classes[0][1:KIN_ROWS]).repeat_interleave(group.ids.shape[1])
            classes = torch.where(seen, torch.full_like(own, OTHER) if reader == "stranger" else own, -1)
            memory = None if reader == "none" else Memory(keys[None], values[None], classes[None])
            if reader == "own, routed":
                usable = seen.reshape(-1, size).any(1)
                tokens = usable.repeat_interleave(size)
                memory = Memory(keys[None, tokens], values[None, tokens], classes[None, tokens])
                out = forward_routed(model, h, memory, landmarks[usable])
            else:
                out, _ = model.above(h, memory)
            log_p = torch.log_softmax(model.logits(out), dim=-1).gather(-1, ids[:, 1:, None])[0, :, 0]
            bits[reader] = -float((log_p * (weights > 0)).sum()) / math.log(2)
        results.append({"bytes": float(weights.sum()), "bits": bits, "imports": bool((group.classes[0][1:KIN_ROWS] == IMPORTED).any())})
    return results


def summary(results: list[dict]) -> dict:
    total = sum(r["bytes"] for r in results)
    per_byte = {reader: sum(r["bits"][reader] for r in results) / total for reader in READERS}
    return {"files": len(results), **per_byte, **{f"{reader}, %": 100 * (per_byte[reader] / per_byte["none"] - 1) for reader in READERS[1:]}}
