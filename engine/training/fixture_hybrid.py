"""A tiny random model of the default model's format with golden logits: `python -m training.fixture_hybrid`.

Like golden.json of a trained model, but every parameter is random, so that each one shows in the logits, and the window
is short, so that a short text crosses it. Written to test/fixtures/models/hybrid/.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save

from .config import Config
from .golden import memory_case, run
from .model import Model, file_tensors, load_file_tensors
from .paths import write_atomic
from .quantize import from_file, to_file
from .tokenizer import SPECIAL

OUT = Path(__file__).parents[2] / "test" / "fixtures" / "models" / "hybrid"
LAYERS = ("lightning", "retrieval", "lightning", "lightning", "retrieval")
CONFIG = Config("fixture", 160, 32, 48, 2, LAYERS, gate_rank=8, window=24, block_size=16, route_size=8, route_group=4, route_top_blocks=2)
FILES = (("imported", 40), ("own_after", 16), ("other", 7))


def random_model() -> Model:
    model = Model(CONFIG).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 or "bias" in name or "norm" in name or "sink" in name:
            parameter.add_(torch.randn_like(parameter) * 0.5)
        if name.endswith("conv"):
            parameter.add_(torch.randn_like(parameter) * 0.3)
    load_file_tensors(model, from_file(to_file(file_tensors(model))))
    return model


def random_ids(n: int) -> list[int]:
    return torch.randint(64, CONFIG.vocab_size, (n,)).tolist()


@torch.no_grad()
def main() -> None:
    torch.manual_seed(7)
    model = random_model()
    stored = to_file(file_tensors(model))
    config = model.config.to_json() | {"trained_length": 128, "trained_tokens": 0, "special_tokens": SPECIAL}
    cases = [{"name": name, **run(model, random_ids(n), None)} for name, n in (("plain", 12), ("long", 100))]
    files = [(f"{name}.py", name, random_ids(n)) for name, n in FILES]
    golden = {"format": config["format"], "cases": [*cases, memory_case(model, files, random_ids(30))]}
    OUT.mkdir(parents=True, exist_ok=True)
    write_atomic(OUT / "model.safetensors", save(stored, metadata={"format": config["format"]}))
    write_atomic(OUT / "config.json", (json.dumps(config, indent=1) + "\n").encode())
    write_atomic(OUT / "golden.json", (json.dumps(golden) + "\n").encode())


if __name__ == "__main__":
    main()
