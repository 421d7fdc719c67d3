"""Trains the head that chooses an answer's lines, and measures it on owners it never saw: `python -m training.pointer_train`.

Questions are made from comments by test/eval/pointer-cases.ts, through the engine's own retrieval, and kept as {split}-pointer.jsonl beside the
training data (remove these to make them anew). Plain training for the first half, then with adversarially perturbed scores of the places
(spans), whose order is what a user sees. Writes
models/default/pointer.safetensors, pointer-golden.json beside it for the engine's tests, and the rows of what it measured.
"""

import argparse
import json
import random
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from .paths import DATA, write_atomic
from .perturb import MODES, adversarial, stability, swap_distance
from .pointer import PointerHead, forced, greedy, log_probabilities, unordered_loss, with_stop

ROOT = Path(__file__).parents[2]
OUT = ROOT / "engine" / "models" / "default" / "pointer.safetensors"
# Repositories and questions of each; validation and test hold other owners than train.
AMOUNTS = {"train": (110, 60), "validation": (20, 80), "test": (20, 80)}
UNANSWERABLE = 0.25  # share of training questions whose answer is not among the candidates
BATCH, RATE, WIDTH, LAYERS, MOST = 16, 1e-3, 48, 2, 24
EPSILON = 3.0  # length of the perturbation at the end; it grows from 0
TESTED = 1.0  # length of the perturbation that the first place should withstand


def cases(split: str) -> list[dict]:
    path = DATA / f"{split}-pointer.jsonl"
    if not path.exists():
        node = ROOT / "node_modules" / ".bin" / "node"
        subprocess.run([node, ROOT / "test" / "eval" / "pointer-cases.ts", DATA, split, *map(str, AMOUNTS[split]), path], check=True)
    return [prepared(json.loads(line)) for line in path.read_text().splitlines()]


def prepared(case: dict) -> dict:
    """The arrays of a case. A unit is right where most of it is."""
    units = np.array(case["units"]).reshape(-1, 3)
    gold = units[:, 2] * 2 > units[:, 1]
    return case | {"units": units, "gold": gold, "features": np.array(case["features"], dtype=np.float32)}


def places(u: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of the places that units lie in, entry 0 is "none": the logarithms of their shares of the softmax, up to a constant.

    u [B, n + 1], spans [B, n] numbers of places, -1 for padding -> scores [B, s + 1], mask [B, s + 1].
    """
    of = spans[:, None] == torch.arange(int(spans.max()) + 1)[:, None]
    mask = with_stop(of.any(-1))
    scores = torch.logsumexp(u[:, None, 1:].masked_fill(~of, -1e9), dim=-1)
    return torch.where(mask, torch.cat([u[:, :1], scores], dim=-1), 0.0), mask


def spans_of(batch: list[dict]) -> Tensor:
    """[B, n], -1 for padding."""
    n = max(len(c["gold"]) for c in batch)
    return torch.tensor([[*c["units"][:, 0].tolist(), *[-1] * (n - len(c["gold"]))] for c in batch])


def collate(batch: list[dict]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """candidates [B, n, f], query [B, q], valid [B, n], gold [B, n]."""
    n, f = max(len(c["gold"]) for c in batch), batch[0]["features"].shape[1]
    x, valid, gold = torch.zeros(len(batch), n, f), torch.zeros(len(batch), n, dtype=torch.bool), torch.zeros(len(batch), n, dtype=torch.bool)
    for i, case in enumerate(batch):
        size = len(case["gold"])
        x[i, :size], valid[i, :size], gold[i, :size] = torch.from_numpy(case["features"]), True, torch.from_numpy(case["gold"])
    return x, torch.tensor([c["query"] for c in batch]), valid, gold


def loss(head: PointerHead, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Of the units, all steps. [B]"""
    total = torch.zeros(len(batch[0]))
    for u, allowed, right, active in forced(head, *batch, most=MOST):
        total = total + torch.where(active, unordered_loss(log_probabilities(u, allowed), right), 0.0)
    return total


def place_loss(head: PointerHead, batch: tuple[Tensor, Tensor, Tensor, Tensor], spans: Tensor, mode: str, epsilon: float) -> Tensor:
    """Of the first step's places, as they are and perturbed by a length of epsilon, half each. [B]"""
    candidates, query, valid, gold = batch
    e, h = head.encode(candidates, query, valid)
    scores, mask = places(head.pointer.scores(head.pointer.keys(e), h), spans)
    right = (spans[:, None] == torch.arange(scores.shape[1] - 1)[:, None]).logical_and(gold[:, None]).any(-1)
    right = torch.cat([~right.any(-1, keepdim=True), right], dim=-1)
    return adversarial(lambda u: unordered_loss(log_probabilities(u, mask), right), scores, mask, mode, epsilon) / 2


def answerable_share(questions: list[dict], rng: random.Random) -> list[dict]:
    """Of the unanswerable ones only as many as shall be."""
    known = [c for c in questions if c["gold"].any()]
    unknown = rng.sample(rest := [c for c in questions if not c["gold"].any()], min(len(rest), int(len(known) * UNANSWERABLE / (1 - UNANSWERABLE))))
    return known + unknown


def train(questions: list[dict], validation: list[dict], mode: str | None, epochs: int, epsilon: float = EPSILON, seed: int = 0) -> PointerHead:
    torch.manual_seed(seed)
    rng = random.Random(seed)
    questions = answerable_share(questions, rng)
    head = PointerHead(questions[0]["features"].shape[1], len(questions[0]["query"]), WIDTH, LAYERS)
    optimizer = torch.optim.AdamW(head.parameters(), RATE, weight_decay=0.01)
    steps, done = epochs * (len(questions) // BATCH), 0
    for epoch in range(epochs):
        # Questions of like size go together, so that little is padding.
        order = sorted(questions, key=lambda c: len(c["gold"]) + rng.random() * 20)
        batches = [order[i : i + BATCH] for i in range(0, len(order) - BATCH + 1, BATCH)]
        rng.shuffle(batches)
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, (done + 1) / 50, 1.05 - done / steps)
            arrays = collate(batch)
            value = loss(head, arrays).mean()
            if mode is not None and (late := 2 * done / steps - 1) >= 0:
                value = value + place_loss(head, arrays, spans_of(batch), mode, epsilon * min(1.0, 2 * late)).mean()
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
            done += 1
        with torch.no_grad():
            held = np.mean([float(loss(head, collate(validation[i : i + 32])).mean()) for i in range(0, len(validation), 32)])
        print(json.dumps({"epoch": epoch, "training": mode or "plain", "validation nats": round(float(held), 4)}), flush=True)
    return head.eval()


@torch.no_grad()
def golden(head: PointerHead, questions: list[dict]) -> list[dict]:
    """Three small questions as the head sees them, the probabilities of its first choice, and how stable it is."""
    out = []
    for case in sorted(questions, key=lambda c: len(c["gold"]))[:3]:
        x, query, valid, _ = collate([case])
        e, h = head.encode(x, query, valid)
        u, allowed = head.pointer.scores(head.pointer.keys(e), h), with_stop(valid)
        p = log_probabilities(u, allowed).exp()[0].tolist()
        out.append({"features": case["features"].tolist(), "query": case["query"], "probabilities": p, "stability": float(stability(u, allowed)[0])})
    return out


def f1(tokens: float, right: float, gold: float) -> float:
    return 2 * right / (tokens + gold) if right else 0.0


def by_chosen(case: dict, chosen: np.ndarray, span: int) -> float:
    """F1 of the lines from the first to the last chosen unit of a span."""
    at = np.flatnonzero(chosen & (case["units"][:, 0] == span))
    if len(at) == 0:
        return 0.0
    _, tokens, right = case["units"][at[0] : at[-1] + 1].sum(0)
    return f1(tokens, right, case["goldTokens"])


def evaluate(head: PointerHead, questions: list[dict]) -> list[dict]:
    """One row a question: token F1 of the first citation by each rule, exact sets, and what a perturbation of length 1 does."""
    rows = []
    for case in questions:
        x, query, valid, gold = collate([case])
        chosen, log_p = greedy(head, x, query, valid, MOST)
        chosen, p = chosen[0].numpy(), log_p[0].exp().numpy()
        with torch.no_grad():
            e, h = head.encode(x, query, valid)
            u, allowed = head.pointer.scores(head.pointer.keys(e), h), with_stop(valid)
        # As the panel has it: among the places, "none" left out.
        shown, seen = (part[:, 1:] for part in places(u, spans_of([case])))
        mass = np.bincount(case["units"][:, 0], p[1:], minlength=len(case["passages"]))
        first, coverage = int(mass.argmax()), case["features"][:, 0]
        argmax = np.zeros(len(coverage), dtype=bool)
        argmax[coverage.argmax()] = True
        top, certain = np.zeros(len(coverage), dtype=bool), p[1:].argmax()
        top[certain] = True
        rows.append({
            "kind": case["kind"], "size": len(coverage), "answerable": bool(gold.any()), "none": not chosen.any(),
            "today": f1(*case["passages"][0], case["goldTokens"]), "today right": case["passages"][0][1] > 0,
            "coverage": by_chosen(case, argmax, int(case["units"][coverage.argmax(), 0])),
            "span by pointer": f1(*case["passages"][first], case["goldTokens"]), "span right": case["passages"][first][1] > 0,
            "pointer": by_chosen(case, chosen, first) if chosen.any() else 0.0,
            "today, lines by pointer": by_chosen(case, chosen, 0) if chosen[case["units"][:, 0] == 0].any() else f1(*case["passages"][0], case["goldTokens"]),
            "exact": bool((chosen == case["gold"]).all()), "right first": bool(case["gold"][certain]) if gold.any() else False,
            "turns": bool(swap_distance(shown, seen)[0] < TESTED), "firmness": float(stability(shown, seen)[0]),
        })  # fmt: skip
    return rows


def summary(rows: list[dict]) -> dict:
    known, unknown = [r for r in rows if r["answerable"]], [r for r in rows if not r["answerable"]]

    def mean(name: str, of: list[dict]) -> float:
        return round(100 * sum(r[name] for r in of) / max(1, len(of)), 1)

    names = ("today", "today right", "coverage", "span by pointer", "span right", "pointer", "today, lines by pointer", "exact", "right first", "none", "turns")
    return {"answerable": len(known), **{name: mean(name, known) for name in names}, "unanswerable": len(unknown), "none, rightly": mean("none", unknown), "firmness": round(float(np.median([r["firmness"] for r in known])), 3) if known else None}


def report(name: str, rows: list[dict]) -> None:
    for kind in ("documentation", "comment"):
        print(json.dumps({"head": name, "questions": kind, **summary([r for r in rows if r["kind"] == kind])}), flush=True)
    edges = (0, 30, 60, 100, 10_000)
    for low, high in zip(edges, edges[1:]):
        print(json.dumps({"head": name, "candidates": f"{low}-{high}", **summary([r for r in rows if low <= r["size"] < high])}), flush=True)
    print(json.dumps({"head": name, "questions": "all", **summary(rows)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--epsilon", type=float, default=EPSILON)
    parser.add_argument("--modes", nargs="*", default=["plain"], choices=["plain", *MODES], help="the first one is kept")
    args = parser.parse_args()
    torch.set_num_threads(1)
    questions, validation, test = (cases(split) for split in ("train", "validation", "test"))
    for i, mode in enumerate(args.modes):
        start = time.monotonic()
        head = train(questions, validation, None if mode == "plain" else mode, args.epochs, args.epsilon)
        print(json.dumps({"head": mode, "seconds": round(time.monotonic() - start), "parameters": sum(p.numel() for p in head.parameters())}))
        report(mode, evaluate(head, test))
        if i == 0:
            write_atomic(OUT.with_name("pointer-golden.json"), (json.dumps(golden(head, test)) + "\n").encode())
            write_atomic(OUT, save({name: t.contiguous() for name, t in head.state_dict().items()}, metadata={"format": "longsight-pointer-1"}))


if __name__ == "__main__":
    main()
