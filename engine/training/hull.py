"""The pointer's own experiment, the convex hull of random points: `python -m training.hull [--steps 2000]`.

Trained on 5 to 10 points; the hull counter-clockwise from the first of its points, then stop. Prints, for the pointer and for a twin of
equal size that classifies the place in the list after content attention, the share of exact hulls and the covered area of simple polygons.
"""

import argparse
import json
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pointer import STOP, Pointer, log_probabilities

LEAST, MOST, BATCH, WIDTH = 5, 10, 128, 128


def hull(points: np.ndarray) -> list[int]:
    """Corner numbers counter-clockwise, the smallest number first. points [n, 2] in general position (Andrew's monotone chain)."""
    order = np.lexsort((points[:, 1], points[:, 0])).tolist()
    p = points.tolist()

    def chain(numbers: list[int]) -> list[int]:
        out: list[int] = []
        for i in numbers:
            while len(out) > 1 and cross(p[out[-2]], p[out[-1]], p[i]) <= 0:
                out.pop()
            out.append(i)
        return out[:-1]

    corners = chain(order) + chain(order[::-1])
    first = corners.index(min(corners))
    return corners[first:] + corners[:first]


def cross(a: list[float], b: list[float], c: list[float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def is_simple(polygon: np.ndarray) -> bool:
    """Whether no two edges that are not neighbours cross. polygon [m, 2]."""
    m, p = len(polygon), polygon.tolist()

    def crosses(i: int, j: int) -> bool:
        a, b, c, d = p[i], p[(i + 1) % m], p[j], p[(j + 1) % m]
        return cross(a, b, c) * cross(a, b, d) < 0 and cross(c, d, a) * cross(c, d, b) < 0

    return m >= 3 and not any(crosses(i, j) for i in range(m) for j in range(i + 2, m) if (j + 1) % m != i)


def draw(rng: np.random.Generator, size: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """points [size, n, 2]; entries to choose [size, n + 1] (point number + 1), filled up with STOP."""
    points = rng.random((size, n, 2)).astype(np.float32)
    targets = np.full((size, n + 1), STOP)
    for row, p in zip(targets, points):
        corners = hull(p)
        row[: len(corners)] = np.array(corners) + 1
    return points, targets


class HullNet(nn.Module):
    """LSTM encoder and decoder; the input of a step is the point chosen before. `points_at`: the pointer, else the twin."""

    def __init__(self, points_at: bool, d: int = WIDTH):
        super().__init__()
        self.points_at = points_at
        self.embed = nn.Linear(2, d)
        self.encoder, self.decoder = nn.LSTM(d, d, batch_first=True), nn.LSTM(d, d, batch_first=True)
        self.first_input, self.stop_state = nn.Parameter(torch.randn(d) * 0.1), nn.Parameter(torch.randn(d) * 0.1)
        self.pointer = Pointer(d)
        self.classify = None if points_at else nn.Linear(2 * d, MOST + 1)

    def encode(self, points: Tensor):
        x = self.embed(points)
        e, state = self.encoder(x)
        return x, torch.cat([self.stop_state.expand(len(x), 1, -1), e], dim=1), state

    def scores(self, keys: Tensor, e: Tensor, h: Tensor) -> Tensor:
        """h [B, m, d] -> [B, m, n + 1]."""
        u = self.pointer.scores(keys, h)
        if self.classify is None:
            return u
        read = torch.softmax(u, dim=-1) @ e
        return self.classify(torch.cat([h, read], dim=-1))[..., : e.shape[1]]

    def forward(self, points: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a batch with the right points as inputs."""
        x, e, state = self.encode(points)
        chosen = x[torch.arange(len(x))[:, None], (targets[:, :-1] - 1).clamp(min=0)]
        h, _ = self.decoder(torch.cat([self.first_input.expand(len(x), 1, -1), chosen], dim=1), state)
        u = self.scores(self.pointer.keys(e), e, h)
        taken = F.one_hot(targets, e.shape[1]).cumsum(1) - F.one_hot(targets, e.shape[1]) > 0
        taken[..., STOP] = False
        log_p = log_probabilities(u, ~taken)
        counted = torch.cat([torch.ones_like(targets[:, :1]), targets[:, :-1]], dim=1) != STOP
        nats = -log_p.gather(-1, targets[..., None])[..., 0]
        return nats[counted].sum() / len(x)

    @torch.no_grad()
    def choose(self, points: Tensor) -> list[list[int]]:
        """Greedily chosen point numbers, none twice."""
        x, e, state = self.encode(points)
        keys, allowed = self.pointer.keys(e), torch.ones(e.shape[:2], dtype=torch.bool)
        given, rows = self.first_input.expand(len(x), 1, -1), torch.arange(len(x))
        chosen = []
        for _ in range(e.shape[1]):
            h, state = self.decoder(given, state)
            entry = self.scores(keys, e, h)[:, 0].masked_fill(~allowed, float("-inf")).argmax(-1)
            chosen.append(entry)
            allowed[rows, entry] = entry == STOP
            given = x[rows, (entry - 1).clamp(min=0)][:, None]
        out = []
        for row in torch.stack(chosen, 1).tolist():
            out.append([entry - 1 for entry in (row[: row.index(STOP)] if STOP in row else row)])
        return out


def quality(net: HullNet, n: int, size: int = 1000) -> dict:
    points, targets = draw(np.random.default_rng(10_000 + n), size, n)
    exact, areas = 0, []
    for p, target, chosen in zip(points, targets, net.choose(torch.from_numpy(points))):
        wanted = [t - 1 for t in target.tolist() if t != STOP]
        if sorted(chosen) == sorted(wanted):
            at = chosen.index(wanted[0])
            exact += chosen[at:] + chosen[:at] == wanted
        if is_simple(p[chosen]):
            areas.append(area(p[chosen]) / area(p[wanted]))
    return {"n": n, "exact %": 100 * exact / size, "area %": 100 * sum(areas) / max(1, len(areas)), "not simple %": 100 * (1 - len(areas) / size)}


def train(points_at: bool, steps: int) -> HullNet:
    torch.manual_seed(0)
    rng, net = np.random.default_rng(0), HullNet(points_at)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        loss = net(*(torch.from_numpy(a) for a in draw(rng, BATCH, int(rng.integers(LEAST, MOST + 1)))))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name, points_at, sizes in (("pointer", True, (5, 7, 10, 15)), ("content attention", False, (5, 7, 10))):
        start = time.monotonic()
        net = train(points_at, args.steps)
        seconds = time.monotonic() - start
        for n in sizes:
            print(json.dumps({"model": name, "steps": args.steps, "seconds": round(seconds), **quality(net, n)}), flush=True)


if __name__ == "__main__":
    main()
