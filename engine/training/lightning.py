"""Decayed causal linear attention without a denominator (Lightning Attention, arXiv 2405.17381): three equal forms.

o_i = sum_{j<=i} exp(-s (i-j)) (q_i . k_j) v_j.   q, k, v: [B, H, n, c]; s: [H]; state S: [B, H, c, c] (rows: key channel).
"""

import torch
from torch import Tensor


def decay_table(n_heads: int, layer: int, n_layers: int) -> Tensor:
    """s of every head: ALiBi slopes times a factor falling from 1 at the first layer to about 0 at the last (section 2d of the paper's code)."""
    slopes = torch.tensor([2.0 ** (-8.0 * (h + 1) / n_heads) for h in range(n_heads)])
    return slopes * (1 - layer / (n_layers - 1) + 1e-5)


def quadratic(q: Tensor, k: Tensor, v: Tensor, s: Tensor) -> Tensor:
    i = torch.arange(q.shape[2], device=q.device)
    distance = (i[:, None] - i[None, :]).to(s.dtype)
    decay = torch.where(distance >= 0, torch.exp(-s[:, None, None] * distance.clamp(min=0)), 0.0)
    return (q @ k.transpose(-1, -2) * decay) @ v


def recurrent(q: Tensor, k: Tensor, v: Tensor, s: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    b, h, n, c = q.shape
    state = q.new_zeros(b, h, c, c) if state is None else state
    factor, out = torch.exp(-s)[:, None, None], []
    for t in range(n):
        state = factor * state + k[:, :, t, :, None] * v[:, :, t, None, :]
        out.append((q[:, :, t, None, :] @ state)[:, :, 0])
    return torch.stack(out, dim=2), state


def chunked(q: Tensor, k: Tensor, v: Tensor, s: Tensor, chunk: int = 64, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Matrix products inside chunks, one small lower-triangular product between chunks; n is any length. All exponents are <= 0."""
    b, h, n, c = q.shape
    whole = n // chunk * chunk
    if whole < n:  # a short tail is a chunk of its own length: padding would decay the state
        head = (None, state) if whole == 0 else chunked(q[:, :, :whole], k[:, :, :whole], v[:, :, :whole], s, chunk, state)
        tail = chunked(q[:, :, whole:], k[:, :, whole:], v[:, :, whole:], s, n - whole, head[1])
        return (tail[0] if head[0] is None else torch.cat([head[0], tail[0]], dim=2)), tail[1]
    t = n // chunk
    i = torch.arange(chunk, device=q.device, dtype=s.dtype)
    distance = i[:, None] - i[None, :]
    inside = torch.where(distance >= 0, torch.exp(-s[:, None, None] * distance.clamp(min=0)), 0.0)  # [H, C, C]
    q_decay = torch.exp(-s[:, None] * (i + 1))[:, None, :, None]  # [H, 1, C, 1]
    k_decay = torch.exp(-s[:, None] * (chunk - 1 - i))[:, None, :, None]
    u = torch.arange(t + 1, device=q.device, dtype=s.dtype)
    lag = u[:, None] - u[None, :t] - 1
    between = torch.where(lag >= 0, torch.exp(-s[:, None, None] * chunk * lag.clamp(min=0)), 0.0)  # [H, T+1, T]
    q, k, v = (x.reshape(b, h, t, chunk, c) for x in (q, k, v))
    intra = (q @ k.transpose(-1, -2) * inside[:, None]) @ v
    written = ((k * k_decay).transpose(-1, -2) @ v).reshape(b, h, t, c * c)
    states = between @ written  # state before each chunk, and after the last: [B, H, T+1, c*c]
    if state is not None:
        states = states + torch.exp(-s[:, None, None] * chunk * u[:, None]) * state.reshape(b, h, 1, c * c)
    states = states.reshape(b, h, t + 1, c, c)
    out = intra + (q * q_decay) @ states[:, :, :t]
    return out.reshape(b, h, n, c), states[:, :, t]
