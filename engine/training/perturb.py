"""Adversarial training of scores before a softmax (Attention AT and iAT, arXiv 2009.12064), and how stable a choice among scores is.

a [B, T] scores, g [B, T] the loss's gradient in them, mask [B, T] bool: false is padding.
"""

from collections.abc import Callable

import torch
from torch import Tensor

MODES = ("at", "iat", "random")
NO_GRADIENT = 1e-6  # a shorter gradient is noise: a saturated sample is left alone


def perturb(g: Tensor, a: Tensor, mask: Tensor, mode: str) -> Tensor:
    """A direction r [B, T] that raises the loss, 0 on padding; |r| = 1 for "at" and "random".

    "iat" stresses entries whose score stands out: the closed form of perturbing by score differences that are normalised as a whole (row by
    row the closed form is "at" itself). Its weights have the mean 1. "random" is the control: a direction that ignores the gradient.
    """
    mask_f, a = mask.float(), a.detach().float()
    norm = (g.float() * mask_f).norm(dim=-1, keepdim=True)
    g = (torch.randn_like(a) if mode == "random" else g.float()) * mask_f
    weight = mask_f
    if mode == "iat":
        n = mask_f.sum(-1, keepdim=True)
        away = (a - (a * mask_f).sum(-1, keepdim=True) / n).square() * mask_f
        weight = (away + away.sum(-1, keepdim=True) / n) * mask_f
        weight = weight * n / weight.sum(-1, keepdim=True).clamp(min=1e-12)
    r = g * weight / (g.square() * weight).sum(-1, keepdim=True).sqrt().clamp(min=1e-12)
    return torch.where(norm > NO_GRADIENT, r, 0.0)


def adversarial(loss_of: Callable[[Tensor], Tensor], a: Tensor, mask: Tensor, mode: str, epsilon: float | Tensor, weight: float = 1.0) -> Tensor:
    """loss(a) + weight * loss(a + epsilon r), row by row. loss_of: scores [B, T] -> [B]; epsilon a number or [B, 1].

    Only what lies behind the scores is evaluated again. r is a constant: no gradient flows through it, none is left in parameters by making it.
    """
    at = a.detach().float().requires_grad_()
    (g,) = torch.autograd.grad(loss_of(at).sum(), at)
    r = epsilon * perturb(g, a, mask, mode)
    return loss_of(a) + weight * loss_of(a + r)


def spread(a: Tensor, mask: Tensor) -> Tensor:
    """The standard deviation [B, 1] of each row's scores, padding left out."""
    n = mask.sum(-1, keepdim=True)
    a = torch.where(mask, a.detach().float(), 0.0)
    return ((a - a.sum(-1, keepdim=True) / n).square() * mask).sum(-1, keepdim=True).div(n).sqrt()


def swap_distance(u: Tensor, mask: Tensor) -> Tensor:
    """The length [B] of the smallest change of scores that takes the first place from the best: margin / sqrt 2. Infinite for a single entry."""
    if u.shape[-1] < 2:
        return torch.full(u.shape[:-1], float("inf"))
    best = u.float().masked_fill(~mask, float("-inf")).topk(2, dim=-1).values
    return (best[..., 0] - best[..., 1]) / 2**0.5


def stability(u: Tensor, mask: Tensor) -> Tensor:
    """swap_distance in standard deviations of the scores [B]."""
    return swap_distance(u, mask) / spread(u, mask)[..., 0]
