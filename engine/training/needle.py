"""Needles: a function with a rare name hidden in memory, and a call site that asks for the value it returns.

Memory is held-out files; every needle lies in a file of its own. The best blocks are picked by the mean of the last 16 prompt tokens, as
the engine does, and kept while the value is decoded.
"""

import numpy as np
import torch

from .groups import OTHER
from .model import Memory, Model, srms
from .rare_names import MadeUp, made_up
from .samples import Sampler
from .tokenizer import EOT, FILE, PAD, is_memory

FILE_TOKENS, N_NEEDLES = 1024, 200


def needles(rng: np.random.Generator, n: int) -> list[MadeUp]:
    """Functions, all names different."""
    made: dict[str, MadeUp] = {}
    while len(made) < n:
        one = made_up(rng, "function")
        made[one.name] = one
    return list(made.values())


def haystack(sampler: Sampler, rng: np.random.Generator, hidden: list[MadeUp], n_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids [files, FILE_TOKENS], and per needle the block (counted over all rows) that holds its value."""
    corpus, block, rows, at = sampler.corpus, sampler.config.block_size, [], []
    order = rng.permutation([i for i, f in enumerate(corpus.files) if f.language == "python" or f.length > 4 * FILE_TOKENS])
    for index in order:
        file = corpus.files[index]
        ids = sampler.header(file) + sampler.encode("\n" + corpus.text(file)[: 8 * FILE_TOKENS])
        if len(at) < len(hidden) and file.language == "python" and len(ids) >= FILE_TOKENS // 2:
            needle = hidden[len(at)]
            before, after = needle.definition("python")
            head, tail = sampler.encode(f"\n\n\n{before}"), sampler.encode(needle.value + after)
            start = int(rng.integers(len(sampler.header(file)) + 1, min(len(ids), FILE_TOKENS) - len(head) - len(tail)))
            ids = ids[:start] + head + tail + ids[start:]
            at.append(len(rows) * (FILE_TOKENS // block) + (start + len(head)) // block)
        rows.append((ids + [PAD] * FILE_TOKENS)[:FILE_TOKENS])
        if len(rows) * FILE_TOKENS >= n_tokens and len(at) == len(hidden):
            return np.array(rows), np.array(at)
    raise ValueError("the split has too few files for this memory")


@torch.no_grad()
def remember(model: Model, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Keys and values [blocks, 64, c], landmarks [blocks, r] and which tokens may be seen [blocks, 64]."""
    size, parts = model.config.block_size, []
    for start in range(0, len(rows), 16):
        ids = torch.from_numpy(rows[start : start + 16])
        h, u = model.below(ids)
        keys, values = model.memory_of(h)
        u, keys, values = (x.reshape(-1, size, x.shape[-1]) for x in (u, keys, values))
        some = (ids != PAD).reshape(-1, size)
        some[:, 0] = True
        parts.append((keys, values, model.landmarks(u, some), is_memory(ids).reshape(-1, size)))
    return tuple(torch.cat(p) for p in zip(*parts))


@torch.no_grad()
def route(model: Model, ids: list[int], memory: tuple) -> torch.Tensor:
    """The blocks that the end of a prompt asks for."""
    config, (_, _, landmarks, seen) = model.config, memory
    u = srms(model.below(torch.tensor([ids]))[0][0, -config.route_group :], config.norm_eps)
    scores = landmarks @ model.route_query(u.mean(0), config.memory_layer)
    return scores.masked_fill(~seen.any(1), float("-inf")).topk(config.route_top_blocks).indices


@torch.no_grad()
def ask(model: Model, ids: list[int], memory: tuple, picked: torch.Tensor) -> int:
    """The likeliest next id with some blocks in sight."""
    keys, values, _, seen = memory
    classes = torch.where(seen[picked], OTHER, -1).reshape(1, -1)
    read = Memory(keys[picked].flatten(0, 1)[None], values[picked].flatten(0, 1)[None], classes)
    return int(model(torch.tensor([ids]), read)[0, -1].argmax())


def needle(model: Model, sampler: Sampler, n_tokens: int, seed: int = 7) -> dict:
    """Share of needles whose block was picked, and of values copied: with routed blocks, and with the needle's block given
    among seven random ones."""
    rng = np.random.default_rng(seed)
    hidden = needles(rng, min(N_NEEDLES, n_tokens // FILE_TOKENS))
    rows, at = haystack(sampler, rng, hidden, n_tokens)
    memory, top = remember(model, rows), model.config.route_top_blocks
    found = routed = given = 0
    for made, block in zip(hidden, at):
        text = f"\nfrom values import {made.name}\n\n\ndef test_value():\n    {made.use('python')[0]}"
        prompt = [FILE, *sampler.encode("tests/test_values.py"), *sampler.encode(text)]
        wanted = sampler.encode(f'{made.value}"')
        random = torch.from_numpy(np.append(rng.integers(len(memory[0]), size=top - 1), block))
        chosen, right = route(model, prompt, memory), []
        for picked in (chosen, random):
            ids = list(prompt)
            while len(ids) < len(prompt) + len(wanted) and ids[-1] != EOT:
                ids.append(ask(model, ids, memory, picked))
            right.append(sampler.tokenizer.decode(ids[len(prompt) :]).startswith(made.value))
        routed, given, found = routed + right[0], given + right[1], found + bool((chosen == block).any())
    n = len(hidden)
    return {"memory tokens": int(rows.size), "needles": n, f"block among the best {top}": found / n, "value copied": routed / n, "value copied, block given": given / n}
