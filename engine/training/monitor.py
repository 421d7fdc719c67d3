"""What the softmax heads attended to while the model was trained: `python -m training.monitor RUN [RUN ...]`, runs in the order of training.

Over the checkpoints that are kept, on fixed sequences: attention of each head to tokens that tell what comes next (distinct) and to those
that do not (common), as a multiple of their share of what can be seen (lift); the sink's mass; how much attention changed since the checkpoint
marked before, and where it froze (Scan and Snap, arXiv 2305.16380, there for one layer): null where too few checkpoints a factor of 1.3 apart
are kept to see it. Writes models/default/training.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import tokenizer
from .config import CONFIGS
from .corpus import Corpus
from .export import OUT
from .model import Model, causal_conv, srms
from .paths import RUNS, write_atomic
from .samples import Sampler
from .scan_snap import STRIDE, snap

QUERIES, SAMPLE_ROWS, PROBE_ROWS, LENGTH = 32, 500, 16, 256
LEAST_PAIRS, LEAST_SEEN = 20, 5  # a query and what comes next, a query and a token before it, are counted from this often on


def distinctness(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """D(l) = 1 - H(n | l) / H(n) for one query: counts [N, V] how often token l stood before next token n, totals [N] how often n came.
    Half a count is added to each. 0: says nothing of what comes next."""

    def entropy(c: np.ndarray) -> np.ndarray:
        p = (c + 0.5) / (c + 0.5).sum(0)
        return -(p * np.log(p)).sum(0)

    return 1 - entropy(counts) / entropy(totals[:, None])


def kinds(rows: np.ndarray, n_vocabulary: int) -> dict[int, np.ndarray]:
    """Of each of the most frequent tokens: which tokens before it are distinct (1: the top quarter), common (-1: the lowest) or neither [V]."""
    frequent = np.argsort(-np.bincount(rows.ravel(), minlength=n_vocabulary))[:QUERIES]
    out = {}
    for query in frequent.tolist():
        seen: dict[int, np.ndarray] = {}
        times: dict[int, int] = {}
        for row in rows:
            for t in np.flatnonzero(row[:-1] == query):
                following = int(row[t + 1])
                seen.setdefault(following, np.zeros(n_vocabulary))[np.unique(row[max(0, t - LENGTH) : t])] += 1
                times[following] = times.get(following, 0) + 1
        kept = [n for n, count in times.items() if count >= LEAST_PAIRS]
        if len(kept) < 2:
            continue
        counts = np.stack([seen[n] for n in kept])
        known = counts.sum(0) >= LEAST_SEEN
        d = distinctness(counts, np.array([times[n] for n in kept], dtype=float))
        low, high = np.quantile(d[known], (0.25, 0.75))
        out[query] = np.where(known & (d >= high), 1, np.where(known & (d <= low), -1, 0))
    return out


@torch.no_grad()
def attention(model: Model, ids: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
    """Of each retrieval layer: weights [B, H, n, n] of its window, and the sink's [B, H, n]; together they are 1."""
    config, out = model.config, {}
    h, shown = model.embed(ids), {}
    for layer, block in enumerate(model.blk):
        h, shown[layer] = block(h, None, None)
    n, c, w = ids.shape[1], config.head_size, config.window
    distance = torch.arange(n)[:, None] - torch.arange(n)[None, :]
    for layer, r in shown.items():
        if r is None:
            continue
        mixer = model.blk[layer].mixer
        p, _ = causal_conv(torch.nn.functional.linear(r.u, mixer.attn_q).float(), mixer.conv[: config.hidden_size])
        q = (srms(p.view(*ids.shape, config.n_heads, c), config.norm_eps) * mixer.q_norm).transpose(1, 2) / c**0.5
        scores = q @ r.keys[:, None].transpose(-1, -2) + mixer.window_bias[:, distance.clamp(0, w - 1)]
        scores = scores.masked_fill((distance < 0) | (distance >= w), float("-inf"))
        sink = mixer.sink[None, :, None, None].expand(*scores.shape[:3], 1)
        weights = torch.softmax(torch.cat([scores, sink], -1), -1)
        out[layer] = (weights[..., :-1], weights[..., -1])
    return out


def lifts(weights: Tensor, classes: Tensor) -> tuple[list[float], list[float]]:
    """By head: the share of attention on distinct and on common tokens over their share of the tokens in sight. weights [B, H, n, n];
    classes [B, n, n] 1, -1, 0, of what a query sees, 2 where it is not looked at."""
    counted = classes != 2
    out = []
    for kind in (1, -1):
        of = (classes == kind).float()
        share = of.sum() / counted.float().sum()
        mass = (weights * of[:, None]).sum((0, 2, 3)) / (weights * counted[:, None]).sum((0, 2, 3))
        out.append((mass / share).tolist())
    return out[0], out[1]


def seen_classes(rows: np.ndarray, of: dict[int, np.ndarray]) -> Tensor:
    classes = np.full((*rows.shape, rows.shape[1]), 2)
    for b, row in enumerate(rows):
        for t, token in enumerate(row.tolist()):
            if token in of and t > 0:
                classes[b, t, :t] = of[token][row[:t]]
    return torch.from_numpy(classes)


def checkpoints(run: str) -> list[Path]:
    return sorted((RUNS / run).glob("keep-*.pt"))


def bits(run: str) -> list[dict]:
    lines = [json.loads(line) for line in (RUNS / run / "log.jsonl").read_text().splitlines()]
    return [{"tokens": x["tokens"], "bitsPerByte": x["validation_bits_per_byte"]} for x in lines if "validation_bits_per_byte" in x]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = CONFIGS[torch.load(checkpoints(args.runs[0])[0], weights_only=True)["config"]]
    text = tokenizer.load(tokenizer.path_of(config.vocab_size))
    rows = [Sampler(Corpus(split), text, config).file_batch(np.random.default_rng(3), n, LENGTH) for split, n in (("train", SAMPLE_ROWS), ("validation", PROBE_ROWS))]
    probe = rows[1][:, :LENGTH]
    classes = seen_classes(probe, kinds(rows[0], config.vocab_size))
    tokens, marks, heads, before = [], [], {}, {}
    for path in (p for run in args.runs for p in checkpoints(run)):
        state = torch.load(path, weights_only=True)
        model = Model(config).eval()
        model.load_state_dict(state["model"], strict=False)  # earlier ones hold biases that are gone
        tokens.append(state["at"]["tokens"])
        is_mark = not marks or tokens[-1] >= STRIDE * marks[-1]
        if is_mark:
            marks.append(tokens[-1])
        for layer, (weights, sink) in attention(model, torch.from_numpy(probe)).items():
            distinct, common = lifts(weights, classes)
            for head in range(config.n_heads):
                name, now = f"{layer}.{head}", weights[:, head].flatten()
                row = heads.setdefault(name, {"distinct": [], "common": [], "sink": [], "change": []})
                for key, value in (("distinct", distinct[head]), ("common", common[head]), ("sink", float(sink[:, head].mean()))):
                    row[key].append(round(value, 5))
                if is_mark:
                    row["change"].append(round(1 - float(torch.cosine_similarity(now, before.get(name, now), dim=0)), 5))
                    before[name] = now
        print(path.name, tokens[-1], flush=True)
    for row in heads.values():
        row["snap"] = snap(np.array(marks, dtype=float), np.array(row["change"]))
    result = {"model": config.name, "runs": args.runs, "validation": [point for run in args.runs for point in bits(run)], "tokens": tokens, "marks": marks, "heads": heads}
    write_atomic(OUT / "training.json", (json.dumps(result) + "\n").encode())
    for name, row in heads.items():
        print(json.dumps({"head": name, **{key: [row[key][0], row[key][-1]] for key in ("distinct", "common", "sink")}, "snap": row["snap"]}))


if __name__ == "__main__":
    main()
