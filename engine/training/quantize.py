"""int8 per row, symmetric: weight[i][j] = q[i][j] * scale[i]. Only for storage; the engine may compute in int8 or float."""

import torch
from torch import Tensor

from .optimizer import MATRICES


def is_quantized(name: str) -> bool:
    return name.endswith((*MATRICES, "token_embd"))


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """q int8 [rows, cols], scale float32 [rows]."""
    scale = (weight.float().abs().amax(dim=1) / 127).clamp(min=1e-12)
    return torch.round(weight.float() / scale[:, None]).clamp(-127, 127).to(torch.int8), scale


def to_file(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    out = {}
    for name, t in tensors.items():
        if is_quantized(name):
            out[name], out[f"{name}.scale"] = quantize(t)
        else:
            out[name] = t.float()
    return {name: t.contiguous() for name, t in out.items()}


def from_file(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: t.float() * tensors[f"{name}.scale"][:, None] if f"{name}.scale" in tensors else t
        for name, t in tensors.items()
        if not name.endswith(".scale")
    }
