"""Losses. Bits and bytes are counted elsewhere; everything here is in nats."""

import torch
from torch import Tensor

from .model import Model
from .tokenizer import FILE, MID, PAD, PRE, SUF

Z_LOSS = 1e-4
UNPREDICTED = (PAD, FILE, SUF, PRE, MID)  # where these stand is decided by the layout, not by the text


def predicted(targets: Tensor) -> Tensor:
    mask = torch.ones_like(targets, dtype=torch.bool)
    for token in UNPREDICTED:
        mask &= targets != token
    return mask


def next_token(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over predicted targets, and the same with the z-loss that keeps logits from drifting."""
    mask = predicted(targets).float()
    lse = torch.logsumexp(logits, dim=-1)
    nats = lse - logits.gather(-1, targets[..., None])[..., 0]
    total = mask.sum().clamp(min=1)
    loss = (nats * mask).sum() / total
    return loss, loss + Z_LOSS * (lse.square() * mask).sum() / total


def file_loss(model: Model, ids: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Stage `file`: every row by itself. ids [B, n + 1]."""
    loss, total = next_token(model(ids[:, :-1]), ids[:, 1:])
    return total, {"loss": loss.detach()}
