"""The stages of training: how a batch is drawn and which loss it gets. batch() gives a tuple of tensors, the first [rows, n + 1] ids."""

from dataclasses import dataclass
from typing import Callable

import torch

from .objective import file_loss


@dataclass(frozen=True)
class Stage:
    batch: Callable
    loss: Callable


def file_batch(sampler, rng, n_rows: int, length: int) -> tuple[torch.Tensor]:
    return (torch.from_numpy(sampler.file_batch(rng, n_rows, length)),)


STAGES = {"file": Stage(file_batch, file_loss)}
