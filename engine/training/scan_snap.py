"""How one softmax layer learns what to attend to, simulated and by theory (Scan and Snap, arXiv 2305.16380): `python -m training.scan_snap`.

A sequence's last token m asks, the others x_t are drawn from P(. | n) of its class n, and n comes next. Attention logits Z [M, M] (row m for
the query m) and decoder logits Y [M, M] are trained by gradient descent on -log p(n). A token is distinct if one class has it, else common.
"""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np

COMMON, DISTINCT, LENGTH, BATCH, MOMENTUM = 10, 10, 128, 128, 0.9
STRIDE = 1.3  # factor between the times at which a course is looked at


@dataclass(frozen=True)
class Classes:
    """K classes over M tokens: common ones, each class's distinct ones, the queries, the classes' next tokens."""

    p: np.ndarray  # [K, M] P(l | n)
    query: np.ndarray  # [K] psi(n)
    next: np.ndarray  # [K]

    @property
    def n_tokens(self) -> int:
        return self.p.shape[1]

    def distinct(self, n: int) -> slice:
        return slice(COMMON + n * DISTINCT, COMMON + (n + 1) * DISTINCT)


def classes(n_queries: int, per_query: int) -> Classes:
    """Common tokens weigh 1, a class's distinct ones 0.1 to 1."""
    k = n_queries * per_query
    m = COMMON + k * DISTINCT + n_queries + k
    p = np.zeros((k, m))
    p[:, :COMMON] = 1
    for n in range(k):
        p[n, COMMON + n * DISTINCT : COMMON + (n + 1) * DISTINCT] = np.linspace(0.1, 1, DISTINCT)
    first_query = COMMON + k * DISTINCT
    return Classes(p / p.sum(1, keepdims=True), first_query + np.arange(k) // per_query, first_query + n_queries + np.arange(k))


def attention(counts: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Mass of each kind of token: counts [B, M] (or probabilities), z [B, M] the query's row."""
    weights = counts * np.exp(z - z.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def gradients(counts: np.ndarray, query: np.ndarray, next: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ascent directions of the mean log-likelihood: of Y [M, M], and of the rows of Z that were asked [B, M], one for each sample."""
    c = attention(counts, z[query])
    length = np.linalg.norm(c, axis=1, keepdims=True)
    f = c / length
    logits = f @ y
    alpha = np.exp(logits - logits.max(1, keepdims=True))
    error = -alpha / alpha.sum(1, keepdims=True)
    error[np.arange(len(next)), next] += 1
    g = error @ y.T
    g = (g - (g * f).sum(1, keepdims=True) * f) / length
    return f.T @ error / len(next), c * g / len(next)


@dataclass
class Run:
    y: np.ndarray
    z: np.ndarray
    masses: list[np.ndarray]  # c_n of the population [K, M], from the start on, one a step


def simulate(data: Classes, rate_y: float, rate_z: float, steps: int, seed: int, uniform: bool) -> Run:
    """Gradient descent with momentum on drawn sequences. `uniform`: weights start within 1 / sqrt(M), else at 0."""
    rng, m, k = np.random.default_rng(seed), data.n_tokens, len(data.p)
    edge = m**-0.5 if uniform else 0.0
    y, z = rng.uniform(-edge, edge, (m, m)), rng.uniform(-edge, edge, (m, m))
    moved_y, moved_z, masses = np.zeros_like(y), np.zeros_like(z), []
    for _ in range(steps):
        masses.append(attention(data.p, z[data.query]))
        n = rng.integers(k, size=BATCH)
        counts = rng.multinomial(LENGTH - 1, data.p[n]).astype(float)
        dy, dz = gradients(counts, data.query[n], data.next[n], y, z)
        rows = np.zeros_like(z)
        np.add.at(rows, data.query[n], dz)
        moved_y, moved_z = MOMENTUM * moved_y + dy, MOMENTUM * moved_z + rows
        y, z = y + rate_y * moved_y, z + rate_z * moved_z
    masses.append(attention(data.p, z[data.query]))
    return Run(y, z, masses)


def population(data: Classes, rate_y: float, rate_z: float, steps: int) -> Run:
    """Infinitely long sequences, in every step one of each class (their gradients are added up), no momentum, from 0."""
    m, k = data.n_tokens, len(data.p)
    y, z, masses = np.zeros((m, m)), np.zeros((m, m)), []
    for _ in range(steps):
        masses.append(attention(data.p, z[data.query]))
        dy, dz = gradients(data.p, data.query, data.next, y, z)
        np.add.at(z, data.query, k * rate_z * dz)
        y = y + k * rate_y * dy
    masses.append(attention(data.p, z[data.query]))
    return Run(y, z, masses)


def entropy(data: Classes, masses: np.ndarray) -> float:
    """In nats over a class's distinct tokens, the mean over classes."""
    total = 0.0
    for n in range(len(data.p)):
        c = masses[n, data.distinct(n)]
        c = c / c.sum()
        total -= float((c * np.log(c)).sum())
    return total / len(data.p)


def gain_errors(data: Classes, run: Run) -> np.ndarray:
    """Theorem 3: how far r(0) chi is from the measured r at the end, as a share of it, for every two distinct tokens l > l' of a class;
    r = f_l^2 / f_l'^2 - 1, chi = exp(2 (z_l(t) - z_l(0))). The last is of the two most frequent ones, whose near-tie makes it the largest."""
    of = data.distinct(0)
    first, last = (masses[0][of] ** 2 for masses in (run.masses[0], run.masses[-1]))
    more, less = np.tril_indices(DISTINCT, -1)
    r0, r = (f[more] / f[less] - 1 for f in (first, last))
    return np.abs(r0 * np.exp(2 * run.z[data.query[0], of][more]) / r - 1)


def growth(rate_y: float, rate_z: float, k: int, m: int, rho: float, times: np.ndarray) -> np.ndarray:
    """Theorem 4's B(t), integrated: the decoder's logit y grows by rate_y (1 - alpha(y)) / K, gamma = y (1 - alpha), and
    B' = (rate_z / C0) gamma exp(-4 B), that is exp(4 B) = 1 + (4 rate_z / C0) * integral of gamma. C0 = rho^4 / K."""
    c0, steps = rho**4 / k, 200_000
    t = np.linspace(0, times.max(), steps + 1)
    # y + (e^y - y - 1) / M = rate_y t / K is the first equation's solution for 1 - alpha = 1 / (1 + (e^y - 1) / M).
    y = np.linspace(0, np.log(m * (rate_y * t[-1] / k + 1)) + 1, steps + 1)
    y = np.interp(t, k / rate_y * (y + (np.expm1(y) - y) / m), y)
    gamma = y / (1 + np.expm1(y) / m)
    integral = np.concatenate([[0], np.cumsum((gamma[1:] + gamma[:-1]) / 2 * np.diff(t))])
    return np.interp(times, t, 0.25 * np.log1p(4 * rate_z / c0 * integral))


def growth_early(rate_y: float, rate_z: float, k: int, rho: float, t: np.ndarray) -> np.ndarray:
    """The same in closed form, for t below K ln M / rate_y: there gamma = rate_y t / K."""
    return 0.25 * np.log1p(2 * rate_y * rate_z * t**2 / (k * rho**4 / k))


def snap(times: np.ndarray, change: np.ndarray, share: float = 0.2) -> float | None:
    """When a course froze: the first time after the largest change at which this and the next two are below `share` of it; None where it
    never did. times [n] rise by a constant factor, STRIDE in the lab; change [n] is the change since the time before."""
    slow, top = change < share * change.max(), int(change.argmax())
    for i in range(top + 1, len(change) - 2):
        if slow[i : i + 3].all():
            return float(times[i])
    return None


# Entropy after 100 steps in the published sweep, for (queries, classes, rate of Z) and ratios of the rates 1, 2, 5, 10.
PUBLISHED = {
    (1, 2, 0.5): (1.971, 2.007, 2.066, 2.092),
    (1, 2, 3.0): (1.551, 1.708, 1.786, 1.825),
    (10, 20, 0.5): (2.033, 2.012, 2.018, 2.051),
    (10, 20, 3.0): (1.940, 1.805, 1.829, 1.875),
}
RATIOS = (1, 2, 5, 10)


def sweep() -> list[dict]:
    rows = []
    for (q, k, rate_z), published in PUBLISHED.items():
        data, seeds = classes(q, k // q), 10 if k == 2 else 3
        for ratio, theirs in zip(RATIOS, published):
            ends = [entropy(data, simulate(data, ratio * rate_z, rate_z, 100, seed, uniform=True).masses[-1]) for seed in range(seeds)]
            mean = float(np.mean(ends))
            # Both are means over ten seeds.
            allowed = 0.05 if k == 20 else 3 * float(np.std(ends, ddof=1)) * (2 / seeds) ** 0.5
            rows.append({"name": f"entropy, {q} queries, {k} classes, rate {rate_z}, ratio {ratio}", "value": mean, "target": theirs, "within": allowed, "pass": abs(mean - theirs) <= allowed})
    return rows


def theory() -> list[dict]:
    rows, data = [], classes(1, 2)
    # The theorem supposes that the decoder learns much faster than attention: its error must vanish with the ratio of the rates.
    for ratio, most in ((1, 0.19), (10, 0.033), (100, 0.0025)):
        errors = gain_errors(data, population(data, 0.01 * ratio, 0.01, 20_000))
        mean, nearest = float(errors.mean()), float(errors[-1])
        rows.append({"name": f"theorem 3, mean error of r at ratio {ratio}", "value": mean, "of the nearest pair": nearest, "target": most, "pass": mean <= most})
    for rate_y in (0.5, 1.0, 2.0, 5.0):
        times = STRIDE ** np.arange(0.0, 32)
        b = growth(rate_y, 0.5, 10, 1000, 1.0, np.append(times, 700))
        mark, first, last = snap(times[1:], np.diff(b[:-1])), 10 * np.log(1000) / rate_y, 20 * np.log(1000) / rate_y
        name = f"snap at rate {rate_y}, theory {first:.0f} to {last:.0f}"
        rows.append({"name": name, "value": mark, "B(700)": float(b[-1]), "pass": mark is not None and first / 2 <= mark <= 2 * last})
    return rows


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    start = time.monotonic()
    for row in [*theory(), *sweep()]:
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} | {"pass": bool(row["pass"])}), flush=True)
    print(json.dumps({"seconds": round(time.monotonic() - start)}))


if __name__ == "__main__":
    main()
