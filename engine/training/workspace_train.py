"""Trains the memory of a workspace on top of the exported model, and measures it on owners neither saw: `python -m training.workspace_train`.

Eleven files of a repository are read and learned, one after another; then another file is predicted, by the model alone and with the model's own
memory of five of them, each with what was learned and without, and with what was learned of another repository, which must be worth about
nothing. Writes models/default/workspace.safetensors, and workspace-golden.json beside it for the engine's tests.
"""

import argparse
import json
import math
import random
import time
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from . import tokenizer
from .bits import n_bytes
from .corpus import GROUPS, Corpus
from .export import OUT, load_export
from .groups import KIN_ROWS, draw_group
from .model import Memory, Model, srms
from .paths import write_atomic
from .samples import Sampler
from .titans import Learned
from .tokenizer import PAD, is_memory
from .workspace import WorkspaceMemory, lacks, mixed

WIDTH, LENGTH, MORE_FILES = 128, 512, 6
REPOSITORIES = {"train": 90, "test": 40}
STEPS, BATCH, RATE, STRANGERS = 120, 3, 3e-3, 0.2


@dataclass
class Question:
    """A file to be predicted, and what is learned before it. All half precision: there are many."""

    repository: int
    x: Tensor  # [n, d] of all files that are learned
    lack: Tensor  # [n, d]
    alone: Tensor  # [t, d] hidden vectors of the file to be predicted, by the model alone
    remembering: Tensor  # [t, d], with the model's memory of its kin
    following: Tensor  # [t]
    counts: Tensor  # [t] bool: text, not a header
    n_bytes: float


@torch.no_grad()
def questions(model: Model, sampler: Sampler, n: int, seed: int) -> list[Question]:
    rng, corpus, out = np.random.default_rng(seed), sampler.corpus, []
    embedding = model.token_embd

    def output(h: Tensor) -> Tensor:
        return srms(h, model.config.norm_eps) * model.output_norm

    while len(out) < n:
        group = draw_group(sampler, rng, LENGTH, plain_only=True)
        kin = [row for row in group.ids[1:KIN_ROWS]]
        seen, more = {row.tobytes() for row in group.ids[:KIN_ROWS]}, []
        for i in rng.permutation(np.array(corpus.by_repository[group.repository])).tolist():
            file = corpus.files[i]
            ids = sampler.plain(file, corpus.text(file), LENGTH)
            row = np.array(ids + [PAD] * (LENGTH - len(ids)))
            if GROUPS[file.language] != "text" and row.tobytes() not in seen and len(more) < MORE_FILES:
                seen.add(row.tobytes())
                more.append(row)
        if len(more) < MORE_FILES:
            continue
        rows = torch.from_numpy(np.stack([group.ids[0], *kin, *more]))
        h, _ = model.below(rows[:, :-1])
        keys, values = model.memory_of(h[1:KIN_ROWS])
        classes = torch.from_numpy(group.classes[0][1:KIN_ROWS]).repeat_interleave(rows.shape[1] - 1)
        classes = torch.where(is_memory(rows[1:KIN_ROWS, :-1]).flatten(), classes, -1)
        remembering, _ = model.above(h[:1], Memory(keys.flatten(0, 1)[None], values.flatten(0, 1)[None], classes[None]))
        x, real = output(model.above(h, None)[0]), rows[:, 1:] != PAD
        target = rows[0, 1:][real[0]]
        # A path holds no line break: the header ends where the first one comes.
        text = torch.tensor([sampler.tokenizer.id_to_token(int(i)).startswith("\u010a") for i in target]).cumsum(0) > 0
        weights = torch.tensor([n_bytes(sampler, int(i)) for i in target]) * text
        learned, following = x[1:][real[1:]], rows[1:, 1:][real[1:]]
        out.append(Question(
            group.repository, learned.half(), lacks(learned, following, embedding).half(), x[0][real[0]].half(),
            output(remembering)[0][real[0]].half(), target, weights > 0, float(weights.sum()),
        ))  # fmt: skip
    return out


def learned(memory: WorkspaceMemory, q: Question) -> Learned:
    return memory.learn(q.x.float()[None], q.lack.float()[None])


def log_p(x: Tensor, q: Question, embedding: Tensor) -> Tensor:
    return torch.log_softmax(x @ embedding.T, dim=-1).gather(-1, q.following[:, None])[:, 0]


def train(known: list[Question], embedding: Tensor, seed: int = 0) -> WorkspaceMemory:
    """Some questions get a stranger's memory, so that what is read there is quiet."""
    torch.manual_seed(seed)
    rng, memory = random.Random(seed), WorkspaceMemory(embedding.shape[1], WIDTH)
    optimizer = torch.optim.Adam(memory.parameters(), RATE)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 10, 1.02 - step / STEPS)
        total = torch.zeros(())
        for q in rng.sample(known, BATCH):
            matrix = learned(memory, rng.choice(known) if rng.random() < STRANGERS else q).matrix
            x = (q.alone if rng.random() < 0.5 else q.remembering).float()
            nats = -(log_p(x + memory.read(matrix, x[None])[0], q, embedding) * q.counts).sum()
            total = total + nats / q.counts.sum() / BATCH
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(memory.parameters(), 1.0)
        optimizer.step()
    return memory.eval()


@torch.no_grad()
def measure(memory: WorkspaceMemory, held: list[Question], embedding: Tensor) -> list[dict]:
    """Bits per byte: without what was learned, with it and mixed, and the same with what was learned of another repository."""
    matrices, rows = [learned(memory, q).matrix for q in held], []
    for name in ("alone", "remembering"):
        bits: dict[str, float] = {}
        better = 0
        for i, q in enumerate(held):
            other = next(j for j in (*range(i + 1, len(held)), *range(i)) if held[j].repository != q.repository)
            x = getattr(q, name).float()
            without = log_p(x, q, embedding)
            by = {"without": without}
            for whose, matrix in (("own", matrices[i]), ("stranger", matrices[other])):
                by[f"{whose}, not mixed"] = log_p(x + memory.read(matrix, x[None])[0], q, embedding)
                by[whose] = mixed(without, by[f"{whose}, not mixed"])
            nats = {key: -float((value * q.counts).sum()) for key, value in by.items()}
            better += nats["own"] < nats["without"]
            for key, value in nats.items():
                bits[key] = bits.get(key, 0.0) + value / math.log(2)
        per_byte = {key: value / sum(q.n_bytes for q in held) for key, value in bits.items()}
        gains = {f"{key}, %": round(100 * (value / per_byte["without"] - 1), 2) for key, value in per_byte.items() if key != "without"}
        rows.append({"model": name, "files": len(held), "better": better, "without": round(per_byte["without"], 4), **gains})
    return rows


@torch.no_grad()
def golden(memory: WorkspaceMemory) -> dict:
    """What 100 made-up tokens of a made-up vocabulary teach, and what is read afterwards: the engine makes the same, by the same rule."""
    i = torch.arange(memory.w_k.shape[1], dtype=torch.float64)
    t, v = torch.arange(100)[:, None], torch.arange(200)[:, None]
    memory, embedding = memory.double(), torch.sin(0.91 * v + 0.7 * i + 0.013 * v * i) / 8
    x = torch.sin(0.37 * t + 1.7 * i + 0.01 * t * i)
    following = torch.arange(100) * 37 % 200
    matrix, _ = memory.learn(x[None], lacks(x, following, embedding)[None])
    logits = (memory.read(matrix, x[None, :1])[0, 0] @ embedding.T)[:64]
    without, using = torch.tensor([0.3, 0.2, 0.05, 0.4]).log(), torch.tensor([0.5, 0.1, 0.2, 0.3]).log()
    return {
        "logits": logits.tolist(),
        "without": without.tolist(), "using": using.tolist(), "mixed": mixed(without, using).tolist(),
    }  # fmt: skip


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    model, _ = load_export()
    model.eval().requires_grad_(False)
    text, start = tokenizer.load(tokenizer.path_of(model.config.vocab_size)), time.monotonic()
    known, held = (questions(model, Sampler(Corpus(split), text, model.config), n, 6) for split, n in REPOSITORIES.items())
    read = round(time.monotonic() - start)
    memory = train(known, model.token_embd)
    print(json.dumps({"seconds to read": read, "to train": round(time.monotonic() - start) - read, "parameters": sum(p.numel() for p in memory.parameters())}))
    for row in measure(memory, held, model.token_embd):
        print(json.dumps(row), flush=True)
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in memory.state_dict().items()}
    write_atomic(OUT / "workspace-golden.json", (json.dumps(golden(memory)) + "\n").encode())
    write_atomic(OUT / "workspace.safetensors", save(tensors, metadata={"format": "longsight-workspace-1"}))


if __name__ == "__main__":
    main()
