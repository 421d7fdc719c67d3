"""Losses. Bits and bytes are counted elsewhere; everything here is in nats."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .model import Memory, Model, Retrieved
from .tokenizer import FILE, PAD, PRE, SUF, is_memory

Z_LOSS = 1e-4
ROUTE_WEIGHT, CONTRAST_WEIGHT, CONTRAST_TEMPERATURE, COPY_WEIGHT = 0.1, 0.1, 0.05, 0.1
UNPREDICTED = (PAD, FILE, SUF, PRE)  # where these stand is decided by the layout, not by the text


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


def repository_loss(model: Model, ids: Tensor, blocks: Tensor, classes: Tensor, copies: Tensor, *pairs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Stage `repository`: rows read blocks of the other rows of their group of 8.

    ids [G * 8, n + 1]; blocks [G, 8, K] block numbers inside the group; classes [G, 8, K], -1: not visible; copies [G, N_COPIES, 5]: see
    groups.py; pairs: see pairs.py.
    """
    config, inputs = model.config, ids[:, :-1]
    (n_groups, rows, k), size = blocks.shape, config.block_size
    h, u = model.below(inputs)
    keys, values = model.memory_of(h)
    b, n, c = keys.shape
    per_row = n // size
    index = (blocks + torch.arange(n_groups)[:, None, None] * rows * per_row).reshape(b, k)  # into all blocks of the batch

    def gathered(x: Tensor) -> Tensor:
        return x.reshape(b * per_row, size, -1)[index].reshape(b, k * size, -1)

    real = (inputs != PAD).reshape(b * per_row, size)
    seen = is_memory(inputs).reshape(b * per_row, size)[index]
    token_classes = torch.where(seen, classes.reshape(b, k, 1), -1).reshape(b, k * size)
    h, shown = model.above(h, Memory(gathered(keys), gathered(values), token_classes))
    loss, total = next_token(model.logits(h), ids[:, 1:])
    filled, owner = real.any(-1).view(n_groups, rows * per_row), torch.arange(rows * per_row) // per_row
    candidates = (filled[:, None] & (owner != torch.arange(rows)[:, None])).reshape(b, -1)
    real[:, 0] = True  # an empty block has some landmark too; nobody sees it
    landmarks = model.landmarks(u.reshape(b * per_row, size, -1), real).view(n_groups, rows * per_row, -1).repeat_interleave(rows, 0)
    route = route_loss(model, shown.u, shown.memory_mass, blocks.reshape(b, k), landmarks, candidates)
    contrast, accuracy = contrast_loss(model, *pairs)
    copy = copy_loss(model, shown, keys.view(n_groups, rows, n, c), copies)
    total = total + ROUTE_WEIGHT * route + CONTRAST_WEIGHT * contrast + COPY_WEIGHT * copy
    return total, {"loss": loss.detach(), "route": route.detach(), "copy": copy.detach(), "contrast": contrast.detach(), "contrast_accuracy": accuracy}


def route_loss(model: Model, u: Tensor, mass: Tensor, blocks: Tensor, landmarks: Tensor, candidates: Tensor) -> Tensor:
    """KL(attention mass of blocks || softmax of routing scores) per group of tokens, weighted by the mass memory has at all.

    mass [B, n, K * block] of the blocks [B, K] that were read; landmarks [B, M, r] and candidates [B, M]: all blocks of the other rows. Those
    that were not read count as without mass: with few candidates routing would learn too little to search a repository.
    """
    (b, n, d), k, group = u.shape, blocks.shape[1], model.config.route_group
    mass = mass.reshape(b, n // group, group, k, -1).sum((2, 4))  # [B, groups, K]
    weight = mass.sum(-1)
    target = mass / weight[..., None].clamp(min=1e-9)
    query = model.route_query(u.reshape(b, n // group, group, d).mean(2), model.config.memory_layer)
    scores = model.blk[model.config.memory_layer].mixer.route_scale * (query @ landmarks.transpose(1, 2)).float()
    log_p = torch.log_softmax(scores.masked_fill(~candidates[:, None], -1e4), dim=-1)
    log_p = log_p.gather(-1, blocks[:, None].expand_as(target))
    kl = (target * (target.clamp(min=1e-9).log() - log_p)).sum(-1)
    return (kl * weight).sum() / weight.sum().clamp(min=1e-9)


def copy_loss(model: Model, shown: Retrieved, keys: Tensor, copies: Tensor) -> Tensor:
    """Minus the logarithm of the attention that tokens of made-up values in memory get where they are to be copied, mean over heads: few
    tokens of a batch can only be copied, too few for the next token's loss alone to teach heads to look up a name.

    keys [G, 8, n, c]; copies [G, N_COPIES, 5]: row, position, source's row and position, its class, -1 where there is none.
    """
    there = (copies[..., 4] >= 0).float()
    row, at, source, place, kind = copies.clamp(min=0).unbind(-1)  # [G, N_COPIES] each
    group = torch.arange(len(copies))[:, None]
    flat = group * keys.shape[1] + row
    scores = (shown.queries[flat, :, at].float() * keys[group, source, place].float()[:, :, None]).sum(-1)  # [G, N_COPIES, H]
    scores = scores + model.blk[model.config.memory_layer].mixer.class_bias.T[kind] - shown.log_total[flat, :, at]
    nats = math.log(scores.shape[-1]) - torch.logsumexp(scores, dim=-1)
    return (nats * there).sum() / there.sum().clamp(min=1)


def contrast_loss(model: Model, docs: Tensor, asks: Tensor, code: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """InfoNCE in both directions with the other pairs of the batch as negatives; and how often the right function comes first."""
    at_ask = model.landmark_input(docs)[torch.arange(len(asks)), asks]
    query = model.route_query(at_ask, model.config.landmark_layer)
    key = model.landmarks(model.landmark_input(code), valid)
    scores = (query @ key.T).float() / CONTRAST_TEMPERATURE
    right = torch.arange(len(asks))
    loss = (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2
    return loss, (scores.argmax(1) == right).float().mean()
