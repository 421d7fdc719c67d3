"""Writes models/default from a run's best checkpoint: `python -m training.export --run NAME [--out DIR]`.

model.safetensors (int8 rows), config.json, tokenizer.json, golden.json (from the dequantised weights) and manifest.json (the training data).
Prints what int8 costs in bits per byte.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from . import tokenizer
from .bits import bits_per_byte, held_out_rows, validation_sampler
from .config import CONFIGS
from .corpus import Corpus
from .golden import golden
from .model import Model, file_tensors, load_file_tensors
from .paths import DATA, RUNS, write_atomic
from .quantize import from_file, to_file
from .samples import Sampler

OUT = Path(__file__).parents[1] / "models" / "default"


def load(run: str) -> tuple[Model, dict]:
    """The best model of a run and where its training stood."""
    path = RUNS / run / "best.pt"
    if not path.exists():
        raise SystemExit(f"{path} is missing: train the run until its first validation.")
    state = torch.load(path, weights_only=True)
    model = Model(CONFIGS[state["config"]]).eval()
    model.load_state_dict(state["model"])
    return model, state["at"]


def load_export(folder: Path = OUT) -> tuple[Model, int]:
    """The exported model, its weights dequantised, and the tokens it was trained on. Its tokenizer becomes the training data's."""
    config = json.loads((folder / "config.json").read_text())
    model = Model(CONFIGS[config["name"]])
    load_file_tensors(model, from_file(load_file(folder / "model.safetensors")))
    ours, theirs = tokenizer.path_of(model.config.vocab_size), (folder / "tokenizer.json").read_bytes()
    if not ours.exists():
        write_atomic(ours, theirs)
    elif ours.read_bytes() != theirs:
        raise SystemExit(f"{ours} is not the exported model's tokenizer: remove it to continue from the export.")
    return model, config["trained_tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    torch.set_num_threads(2)
    model, at = load(args.run)
    tokenizer_path = tokenizer.path_of(model.config.vocab_size)
    sampler = Sampler(Corpus("validation"), tokenizer.load(tokenizer_path), model.config)
    rows, sizes = held_out_rows(sampler, 48, 512, seed=2)
    exact = bits_per_byte(model, rows, sizes)
    stored = to_file(file_tensors(model))
    load_file_tensors(model, from_file(stored))
    rounded = bits_per_byte(model, rows, sizes)
    config = model.config.to_json() | {"trained_length": 1024, "trained_tokens": at["tokens"], "special_tokens": tokenizer.SPECIAL}
    weights = save(stored, metadata={"format": config["format"]})
    write_atomic(args.out / "model.safetensors", weights)
    write_atomic(args.out / "config.json", (json.dumps(config, indent=1) + "\n").encode())
    write_atomic(args.out / "tokenizer.json", tokenizer_path.read_bytes())
    write_atomic(args.out / "golden.json", (json.dumps(golden(model, sampler)) + "\n").encode())
    write_atomic(args.out / "manifest.json", manifest().encode())
    print(f"{len(weights)} bytes; bits per byte {exact:.4f} float32, {rounded:.4f} int8 ({100 * (rounded / exact - 1):+.2f} %), after {at['tokens']} tokens")


def manifest() -> str:
    """One line per repository that was used."""
    used = [m for m in json.loads((DATA / "manifest.json").read_text()) if m["files"]]
    return "[\n" + ",\n".join(json.dumps(m) for m in used) + "\n]\n"


if __name__ == "__main__":
    main()
