"""Muon (orthogonalised momentum) for the matrices of the layers, AdamW for embedding, norms, convolutions and biases; one learning-rate schedule."""

import torch

from .model import Model

MATRICES = ("attn_qkv", "attn_output", "attn_q", "attn_kv", "ffn_up", "ffn_gate", "ffn_down", "gate_down", "gate_up", "route_q", "route_k")
MATRIX_LR, OTHER_LR, WARMUP_STEPS, FINAL_SHARE = 6e-3, 3e-3, 100, 0.04


class Optimizer:
    def __init__(self, model: Model):
        named = dict(model.named_parameters())
        matrices = [p for name, p in named.items() if name.endswith(MATRICES)]
        others = [p for name, p in named.items() if not name.endswith(MATRICES)]
        self.parts = {
            "muon": torch.optim.Muon(matrices, lr=MATRIX_LR, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            "adam": torch.optim.AdamW(others, lr=OTHER_LR, betas=(0.9, 0.95), weight_decay=0.0),
        }
        self.parameters = [*matrices, *others]

    def step(self, factor: float) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part, lr in zip(self.parts.values(), (MATRIX_LR, OTHER_LR)):
            for group in part.param_groups:
                group["lr"] = lr * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


def lr_factor(steps_here: int, progress: float, decay_share: float) -> float:
    """Warm-up, constant, then linear to FINAL_SHARE over the last `decay_share` of the budget. progress: share of the budget spent."""
    warm = min(1.0, (steps_here + 1) / WARMUP_STEPS)
    left = min(1.0, max(0.0, 1 - progress) / decay_share) if decay_share > 0 else 1.0
    return warm * max(FINAL_SHARE, left)
