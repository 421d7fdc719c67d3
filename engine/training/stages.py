"""The stages of training: how a batch is drawn and which loss it gets. batch() gives a tuple of tensors, the first [rows, n + 1] ids."""

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch

from .groups import GROUP_ROWS, choose_blocks, draw_group
from .objective import file_loss, repository_loss
from .pairs import draw_pairs


@dataclass(frozen=True)
class Stage:
    batch: Callable
    loss: Callable


def file_batch(sampler, rng, n_rows: int, length: int) -> tuple[torch.Tensor]:
    return (torch.from_numpy(sampler.file_batch(rng, n_rows, length)),)


def repository_batch(sampler, rng, n_rows: int, length: int) -> tuple[torch.Tensor, ...]:
    """Groups of 8 rows, the blocks each row reads, and three documentation pairs a row."""
    groups = [draw_group(sampler, rng, length + 1) for _ in range(n_rows // GROUP_ROWS)]
    chosen = [choose_blocks(rng, g, sampler.config.block_size, sampler.config.vocab_size) for g in groups]
    arrays = (np.concatenate([g.ids for g in groups]), *(np.stack(part) for part in zip(*chosen)))
    return tuple(torch.from_numpy(a) for a in (*arrays, *draw_pairs(sampler, rng, 3 * n_rows)))


STAGES = {"file": Stage(file_batch, file_loss), "repository": Stage(repository_batch, repository_loss)}
