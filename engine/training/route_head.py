"""Fits what a question in words asks landmarks for, the landmarks as they are: `python -m training.route_head --run NAME --to OTHER`.

While the model trains, the few pairs of a step leave that query far from what it could be; alone it is fitted in seconds, among many more
wrong functions at once. In the second half of the fitting the scores are perturbed adversarially (attention-adversarial-training); `--modes`
also fits twins and prints what they are worth. Writes runs/OTHER/best.pt: the run's best model with the query of the first mode.
"""

import argparse
import io
import json

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import tokenizer
from .corpus import Corpus
from .export import load
from .model import Model
from .objective import CONTRAST_TEMPERATURE
from .pairs import encode_pairs, load_pairs
from .paths import RUNS, write_atomic
from .perturb import MODES, adversarial, swap_distance
from .samples import Sampler

AMOUNTS = {"train": 8_000, "validation": 1_000, "test": 2_000}  # pairs
STEPS, BATCH, RATE = 1500, 256, 3e-3
EPSILON = 10.0  # length of the perturbation at the end, in cosines over the temperature; it grows from 0
CANDIDATES, TESTED = 174, 1.0  # functions of a test question; length of the perturbation that the first place should withstand


@torch.no_grad()
def features(model: Model, sampler: Sampler, split: str) -> tuple[Tensor, Tensor]:
    """Of pairs of a split: what the query is made from [P, d], and landmarks [P, r]."""
    pairs = load_pairs(split)
    chosen = [pairs[i] for i in sorted(np.random.default_rng(0).permutation(len(pairs))[: AMOUNTS[split]])]
    asked, landmarks = [], []
    for start in range(0, len(chosen), 64):
        docs, asks, code, valid = (torch.from_numpy(a) for a in encode_pairs(sampler, chosen[start : start + 64]))
        asked.append(model.landmark_input(docs)[torch.arange(len(asks)), asks])
        landmarks.append(model.landmarks(model.landmark_input(code), valid))
    return torch.cat(asked), torch.cat(landmarks)


def scores(weight: Tensor, asked: Tensor, landmarks: Tensor) -> Tensor:
    """weight [r, d] -> [questions, functions]"""
    return F.normalize(F.linear(asked, weight), dim=-1, eps=1e-6) @ landmarks.T / CONTRAST_TEMPERATURE


def fit(start: Tensor, asked: Tensor, landmarks: Tensor, mode: str | None) -> Tensor:
    """The weight [r, d] from where it starts; mode: see perturb.py, None: plain."""
    rng = torch.Generator().manual_seed(0)
    weight, right = torch.nn.Parameter(start.clone()), torch.arange(BATCH)
    optimizer = torch.optim.AdamW([weight], RATE, weight_decay=0.01)
    mask = torch.ones(BATCH, BATCH, dtype=torch.bool)
    for step in range(STEPS):
        chosen = torch.randint(len(asked), (BATCH,), generator=rng)
        u = scores(weight, asked[chosen], landmarks[chosen])
        epsilon, loss = EPSILON * min(1.0, 4 * step / STEPS - 2), 0.0
        for a in (u, u.T):
            if mode is not None and epsilon > 0:
                loss = loss + adversarial(lambda x: F.cross_entropy(x, right, reduction="none"), a, mask, mode, epsilon).mean() / 2
            else:
                loss = loss + F.cross_entropy(a, right)
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50, 1.02 - step / STEPS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weight.detach()


@torch.no_grad()
def quality(weight: Tensor, asked: Tensor, landmarks: Tensor) -> dict:
    """Among CANDIDATES functions each: how often the right one is first, mean reciprocal rank, and how often a change of the scores
    of length TESTED puts another one first."""
    rows, mask, right = [], torch.ones(CANDIDATES, CANDIDATES, dtype=torch.bool), torch.arange(CANDIDATES)
    for start in range(0, len(asked) - CANDIDATES + 1, CANDIDATES):
        u = scores(weight, asked[start : start + CANDIDATES], landmarks[start : start + CANDIDATES])
        rank = (u >= u.diagonal()[:, None]).sum(-1)
        rows.append([(u.argmax(-1) == right).float().mean(), (1 / rank).mean(), (swap_distance(u, mask) < TESTED).float().mean()])
    first, mrr, turned = np.array(rows, dtype=float).mean(0).round(4).tolist()
    return {"right first": first, "MRR": mrr, "turned": turned}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--modes", nargs="*", default=["at"], choices=["plain", *MODES], help="the first one is kept")
    args = parser.parse_args()
    torch.set_num_threads(2)
    model, at = load(args.run)
    sampler = Sampler(Corpus("validation"), tokenizer.load(tokenizer.path_of(model.config.vocab_size)), model.config)
    made = {split: features(model, sampler, split) for split in AMOUNTS}
    query = model.blk[model.config.landmark_layer].mixer.route_q
    fitted = {"as trained": query.detach()} | {mode: fit(query.detach(), *made["train"], None if mode == "plain" else mode) for mode in args.modes}
    for name, weight in fitted.items():
        print(json.dumps({"query": name, **{split: quality(weight, *made[split]) for split in ("validation", "test")}}), flush=True)
    query.data = fitted[args.modes[0]]
    buffer = io.BytesIO()
    torch.save({"model": model.state_dict(), "config": model.config.name, "at": at}, buffer)
    write_atomic(RUNS / args.to / "best.pt", buffer.getvalue())


if __name__ == "__main__":
    main()
