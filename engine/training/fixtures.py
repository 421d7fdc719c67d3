"""Tiny random checkpoints of public architectures with golden logits, written by transformers: `python -m training.fixtures`.

The engine's tests load them to compare its forward pass with an independent implementation.
Each folder of test/fixtures/models/ holds config.json, model.safetensors (float32) and
golden.json: {"ids": [24 ids], "positions": [p ...], "logits": [[vocab numbers] per position]}.
"""

import json
import shutil
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

OUT = Path(__file__).parents[2] / "test" / "fixtures" / "models"
SIZES = dict(
    vocab_size=128,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    rms_norm_eps=1e-5,
    bos_token_id=1,
    eos_token_id=2,
)
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
}
YARN = {
    "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16,
    "beta_fast": 32.0, "beta_slow": 1.0,
}
FIXTURES = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=False)),
    "llama-tied": (LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama-rope-llama3": (LlamaForCausalLM, LlamaConfig(**SIZES, rope_parameters=LLAMA3, tie_word_embeddings=False)),
    "llama-rope-yarn": (LlamaForCausalLM, LlamaConfig(**SIZES, rope_parameters=YARN, tie_word_embeddings=False)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SIZES, tie_word_embeddings=False)),
    "qwen2-tied": (Qwen2ForCausalLM, Qwen2Config(**SIZES, tie_word_embeddings=True)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=False)),
    "qwen3-tied": (Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True)),
}
# Checkpoints written before transformers 5 hold rope_theta and rope_scaling; these fixtures keep that form readable.
CLASSIC_ROPE_FIELDS = {"llama-tied", "llama-rope-llama3", "qwen2", "qwen3-tied"}


def write_classic_rope_fields(path: Path) -> None:
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    path.write_text(json.dumps(config, indent=2) + "\n")


def write(name: str, seed: int) -> None:
    model_class, config = FIXTURES[name]
    torch.manual_seed(seed)
    model = model_class(config).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            # Spread-out weights, and norms and biases off their defaults, so that no mistake stays hidden.
            if key.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0.0, 0.25)
        ids = torch.randint(3, config.vocab_size, (24,), generator=torch.Generator().manual_seed(seed))
        logits = model(ids[None]).logits[0]
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)
    if name in CLASSIC_ROPE_FIELDS:
        write_classic_rope_fields(folder / "config.json")
    positions = [0, 11, 22, 23]
    golden = {"ids": ids.tolist(), "positions": positions, "logits": [[float(f"{x:.7g}") for x in logits[p].tolist()] for p in positions]}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name}: {size} bytes, {sum(p.numel() for p in model.parameters())} parameters")


if __name__ == "__main__":
    for seed, name in enumerate(FIXTURES):
        write(name, seed)
