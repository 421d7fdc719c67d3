"""A linear memory whose matrix is trained while reading: surprise, momentum, forgetting (Titans, arXiv 2501.00663), in two equal forms.

Loss of token t: |M k_t - v_t|^2, so its gradient is 2 (M k_t - v_t) k_t^T. S_t = eta_t S_{t-1} - theta_t gradient; M_t = (1 - alpha_t) M_{t-1} + S_t.
Gradients of a chunk are taken at the matrix before it; with chunks of 1 this is the definition. k [B, n, m] of unit length, v [B, n, m];
theta, eta, alpha [B, n]; M, S [B, m, m], rows: value channel. With k of unit length, theta times the chunk's length must stay below 1 - eta.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Learned(NamedTuple):
    matrix: Tensor
    surprise: Tensor


class Rates(NamedTuple):
    theta: Tensor
    eta: Tensor
    alpha: Tensor


def empty(batch: int, m: int, like: Tensor) -> Learned:
    return Learned(like.new_zeros(batch, m, m), like.new_zeros(batch, m, m))


def sequential(k: Tensor, v: Tensor, rates: Rates, start: Learned, chunk: int) -> Learned:
    """Token by token."""
    matrix, surprise = start
    for t in range(k.shape[1]):
        if t % chunk == 0:
            frozen = matrix
        error = (frozen @ k[:, t, :, None])[..., 0] - v[:, t]
        theta, eta, alpha = (rate[:, t, None, None] for rate in rates)
        surprise = eta * surprise - theta * 2 * error[..., None] * k[:, t, None, :]
        matrix = (1 - alpha) * matrix + surprise
    return Learned(matrix, surprise)


def products(factors: Tensor) -> Tensor:
    """P[i, j] = the product of factors j + 1 .. i, 1 on the diagonal, 0 above it. factors [B, c] -> [B, c, c]."""
    c = factors.shape[1]
    upto = torch.log(factors.clamp(min=1e-30)).cumsum(-1)
    lower = torch.ones(c, c, dtype=torch.bool, device=factors.device).tril()
    return torch.exp((upto[:, :, None] - upto[:, None]).masked_fill(~lower, float("-inf")))


def learn_chunk(k: Tensor, v: Tensor, rates: Rates, start: Learned) -> Learned:
    """One chunk by matrix products; n is its length."""
    matrix, surprise = start
    theta, eta, alpha = rates
    momentum, kept = products(eta), products(1 - alpha)
    # What is left of the first state at the chunk's end: E(c, 0), B(c, 0) and the sum of B(c, j) E(j, 0).
    first = eta.cumprod(-1)
    last = kept[:, -1]
    carried = (last * first).sum(-1)[:, None, None]
    error = 2 * (k @ matrix.transpose(-1, -2) - v)
    by_token = momentum[:, -1] * theta
    weight = (last[:, None] @ momentum)[:, 0] * theta
    new_surprise = first[:, -1, None, None] * surprise - (error * by_token[..., None]).transpose(-1, -2) @ k
    new_matrix = (1 - alpha).prod(-1)[:, None, None] * matrix + carried * surprise - (error * weight[..., None]).transpose(-1, -2) @ k
    return Learned(new_matrix, new_surprise)


def learn(k: Tensor, v: Tensor, rates: Rates, start: Learned, chunk: int) -> Learned:
    """Chunk by chunk; the last may be shorter."""
    for at in range(0, k.shape[1], chunk):
        part = slice(at, at + chunk)
        start = learn_chunk(k[:, part], v[:, part], Rates(*(rate[:, part] for rate in rates)), start)
    return start
