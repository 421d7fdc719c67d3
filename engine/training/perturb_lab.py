"""What adversarial training does to attention on made-up data: `python -m training.perturb_lab`.

Sentences of 30 words, two of which are cues; the label is the sign of their weights' sum, 3 % of the labels wrong. A BiLSTM with additive
attention is trained plainly, and with random, adversarial and interpretable adversarial perturbation from half of the training on. Prints
accuracy and the share of sentences whose predicted label a change of the attention scores of length 0.5, 1, 2 turns (ascent on the sphere).
"""

import argparse
import json
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .perturb import adversarial, perturb

WORDS, LENGTH, N_CUES, N_TRAIN, N_TEST, NOISE = 500, 30, 40, 2000, 1000, 0.03
EPOCHS, BATCH, TEST_LENGTHS, ASCENT_STEPS = 8, 32, (0.5, 1.0, 2.0), 8


def sentences(rng: np.random.Generator, n: int, weights: np.ndarray, noise: float) -> tuple[Tensor, Tensor, Tensor]:
    """ids [n, LENGTH], labels [n] 0 or 1, where the cues stand [n, LENGTH]. Words below N_CUES are cues."""
    ids = rng.integers(N_CUES, WORDS, (n, LENGTH))
    places = np.argsort(rng.random((n, LENGTH)), axis=1)[:, :2]
    cues = rng.integers(0, N_CUES, (n, 2))
    np.put_along_axis(ids, places, cues, axis=1)
    labels = (weights[cues].sum(1) > 0) ^ (rng.random(n) < noise)
    return torch.from_numpy(ids), torch.from_numpy(labels.astype(np.float32)), torch.from_numpy(ids < N_CUES)


class Reader(nn.Module):
    def __init__(self, d: int = 64):
        super().__init__()
        self.embed = nn.Embedding(WORDS, d)
        self.encoder = nn.LSTM(d, d // 2, bidirectional=True, batch_first=True)
        self.hidden, self.score, self.output = nn.Linear(d, d // 2), nn.Linear(d // 2, 1, bias=False), nn.Linear(d, 1)

    def read(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """States [B, T, d] and attention scores [B, T]."""
        h, _ = self.encoder(self.embed(ids))
        return h, self.score(torch.tanh(self.hidden(h)))[..., 0]

    def answer(self, h: Tensor, a: Tensor) -> Tensor:
        return self.output((torch.softmax(a, -1)[..., None] * h).sum(1))[:, 0]


def nats(logit: Tensor, label: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logit, label, reduction="none")


def train(seed: int, mode: str | None, epsilon: float) -> tuple[Reader, np.random.Generator, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = rng.choice([-1, 1], N_CUES) * rng.uniform(0.5, 1.5, N_CUES)
    ids, labels, _ = sentences(rng, N_TRAIN, weights, NOISE)
    torch.manual_seed(seed)
    net = Reader()
    attention = [*net.hidden.parameters(), *net.score.parameters()]
    rest = [*net.embed.parameters(), *net.encoder.parameters(), *net.output.parameters()]
    optimizer = torch.optim.Adam([{"params": attention}, {"params": rest, "weight_decay": 1e-5}], 3e-3, amsgrad=True)
    everything = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    for epoch in range(EPOCHS):
        perturbed = mode is not None and epoch >= EPOCHS // 2
        for batch in np.split(rng.permutation(N_TRAIN)[: N_TRAIN // BATCH * BATCH], N_TRAIN // BATCH):
            h, a = net.read(ids[batch])
            y = labels[batch]
            loss = adversarial(lambda s: nats(net.answer(h, s), y), a, everything, mode, epsilon) if perturbed else nats(net.answer(h, a), y)
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
    return net.eval(), rng, weights


def flipped(net: Reader, h: Tensor, a: Tensor, length: float) -> Tensor:
    """Which predictions [B] an attack on the scores turns."""
    said = (net.answer(h, a) > 0).float()
    everything, r, turned = torch.ones_like(a, dtype=torch.bool), torch.zeros_like(a), torch.zeros_like(said, dtype=torch.bool)
    for _ in range(ASCENT_STEPS):
        at = (a + r).requires_grad_()
        (g,) = torch.autograd.grad(nats(net.answer(h, at), said).sum(), at)
        r = F.normalize(r / length + perturb(g, a, everything, "at"), dim=-1) * length
        turned |= (net.answer(h, a + r) > 0).float() != said
    return turned


def measure(net: Reader, rng: np.random.Generator, weights: np.ndarray) -> dict:
    ids, labels, cues = sentences(rng, N_TEST, weights, 0.0)
    with torch.no_grad():
        h, a = net.read(ids)
        accuracy = ((net.answer(h, a) > 0) == labels.bool()).float().mean()
        mass = (torch.softmax(a, -1) * cues).sum(-1).mean()
    flips = {f"flips at {e}, %": 100 * float(flipped(net, h, a, e).float().mean()) for e in TEST_LENGTHS}
    return {"accuracy, %": 100 * float(accuracy), "mass on cues": float(mass), "std of scores": float(a.std(-1).mean()), **flips}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epsilon", type=float, nargs="*", default=[0.3, 1.0, 3.0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    start = time.monotonic()
    for mode, epsilon in [(None, 0.0), *((mode, e) for e in args.epsilon for mode in ("random", "at", "iat"))]:
        rows = [measure(*train(seed, mode, epsilon)) for seed in range(args.seeds)]
        mean = {name: round(sum(r[name] for r in rows) / len(rows), 2) for name in rows[0]}
        print(json.dumps({"training": mode or "plain", "epsilon": epsilon, **mean, "seconds": round(time.monotonic() - start)}), flush=True)


if __name__ == "__main__":
    main()
