"""Gates of a checkpoint's key/value heads: which of them need tokens that lie far back (DuoAttention). Learned by reading texts
in which names and values are hidden and asked for at the end, each head's attention mixed from all of it and from what a
streaming head would see; weights stay as they are. Written beside the model, where the engine finds them.

    python -m training.gates MODEL_FOLDER [--text FOLDER_OF_CODE] [--for FILE.gguf]
"""

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AttentionInterface, AutoModelForCausalLM

# The engine looks for this name.
NAME = "longsight-gates.json"
CODE = {".c", ".cc", ".cpp", ".cs", ".go", ".h", ".java", ".js", ".kt", ".php", ".py", ".rb", ".rs", ".swift", ".ts", ".tsx"}
WORDS = (
    "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa quebec romeo sierra tango"
    " uniform victor whiskey xray yankee zulu"
).split()


@dataclass(frozen=True)
class Span:
    """What streaming heads see."""

    sinks: int
    window: int


def streaming_mask(n_queries: int, n_keys: int, span: Span, tail: int | None = None) -> torch.Tensor:
    """Whether each of the last n_queries positions attends to a key: [n_queries, n_keys]. Behind `tail` nothing of the text before
    it is seen, as where that comes from memory."""
    query = torch.arange(n_keys - n_queries, n_keys)[:, None]
    key = torch.arange(n_keys)[None]
    near = (key <= query) & ((key < span.sinks) | (query - key < span.window))
    return near if tail is None else near & ((key >= tail) | (query < tail))


def mixed_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """In place of the library's attention. query [b, heads, m, d], key and value [b, kv heads, n, d] -> [b, m, heads, d].
    `module.gates` [kv heads], `module.span` and `module.tail` say how all of it and the streaming part are mixed; without them it is
    all."""
    m, n = query.shape[2], key.shape[2]
    groups = query.shape[1] // key.shape[1]
    q = query.unflatten(1, (-1, groups))
    scores = q @ key[:, :, None].transpose(-1, -2) * (scaling or query.shape[-1] ** -0.5)
    causal = torch.ones(m, n, dtype=torch.bool).tril(n - m)
    shares = scores.masked_fill(~causal, -torch.inf).softmax(-1)
    gates = getattr(module, "gates", None)
    if gates is not None:
        near = scores.masked_fill(~streaming_mask(m, n, module.span, module.tail), -torch.inf).softmax(-1)
        a = gates[:, None, None, None]
        shares = a * shares + (1 - a) * near
    return (shares @ value[:, :, None]).flatten(1, 2).transpose(1, 2).contiguous(), None


AttentionInterface.register("mixed", mixed_attention)


def load(folder: str) -> torch.nn.Module:
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="mixed", dtype=torch.float32)
    return model.eval().requires_grad_(False)


def hidden(model: torch.nn.Module, ids: torch.Tensor, gates: torch.Tensor | None, span: Span, tail: int | None = None) -> torch.Tensor:
    """The last hidden states [b, n, size] of ids [b, n]; gates [layers, kv heads] between 0 and 1, or None for all attention. `tail` as
    in streaming_mask."""
    for i, layer in enumerate(model.model.layers):
        layer.self_attn.gates = None if gates is None else gates[i]
        layer.self_attn.span, layer.self_attn.tail = span, tail
    return model.model(ids, use_cache=False).last_hidden_state


class Coded:
    """Code of a folder as haystack, and constants with long values as what is hidden in it."""

    def __init__(self, tokenizer: Tokenizer, folder: str, rng: np.random.Generator):
        self.tokenizer, self.rng = tokenizer, rng
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix in CODE and path.is_file())
        self.texts = [ids for path in files if len(ids := self.encode(path.read_text(errors="ignore"))) > 0]
        if not self.texts:
            raise SystemExit(f"There is no code in {folder}; name a folder with sources.")

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def hay(self, n: int) -> list[int]:
        ids: list[int] = []
        while len(ids) < n:
            ids += self.texts[self.rng.integers(len(self.texts))]
        return ids[:n]

    def needle(self) -> list[int]:
        words = self.rng.choice(WORDS, 9)
        return self.encode(f'\nconst {"_".join(words[:3]).upper()} = "{" ".join(words[3:])}";\n')


class Written:
    """Text that the model itself writes, for models without a tokenizer.json, and pieces of other such texts hidden in it."""

    def __init__(self, model: torch.nn.Module, length: int, rng: np.random.Generator, n_texts: int = 48):
        self.rng = rng
        begin = torch.full((n_texts, 1), model.config.bos_token_id or 0)
        with torch.no_grad():
            texts = model.generate(begin, do_sample=True, temperature=0.8, max_new_tokens=length - 1, min_new_tokens=length - 1, pad_token_id=0)
        self.texts = texts.numpy()

    def hay(self, n: int) -> list[int]:
        return self.texts[self.rng.integers(len(self.texts)), :n].tolist()

    def needle(self) -> list[int]:
        start = self.rng.integers(self.texts.shape[1] - 12)
        return self.texts[self.rng.integers(len(self.texts)), start : start + 12].tolist()


def sample(source, rng: np.random.Generator, length: int, n_needles: int) -> tuple[list[int], int]:
    """A text of about `length` ids, and where its tail begins, in which all that was hidden is asked for and told again."""
    needles = [source.needle() for _ in range(n_needles)]
    tail = [i for needle in needles for i in needle]
    hay = source.hay(max(length - 2 * len(tail), 16))
    depths = np.sort(rng.uniform(0.05, 0.95, n_needles))
    ids, at = [], 0
    for needle, depth in zip(needles, depths):
        end = int(depth * len(hay))
        ids += hay[at:end] + needle
        at = end
    ids += hay[at:]
    return ids + tail, len(ids)


def rate(step: int, n_steps: int) -> float:
    """The share of the learning rate: up over the first fifth, down over the last."""
    ramp = n_steps / 5
    return min(1.0, max((step + 1) / ramp, 0.1), max((n_steps - step) / ramp, 0.1))


def loss_of(model, gates: torch.Tensor, ids: torch.Tensor, tail: int, span: Span, is_memory: bool = False) -> torch.Tensor:
    """How far hidden states of the tail are off, relative to their size, so that one weight of the gates fits all models; where the
    text before the tail is its own, or comes from memory."""
    with torch.no_grad():
        target = hidden(model, ids, None, span)[:, tail:]
    return (hidden(model, ids, gates, span, tail if is_memory else None)[:, tail:] - target).square().mean() / target.square().mean()


def learn(model, source, rng, *, span: Span, lengths: tuple[int, int], n_steps: int, n_needles: int, weight: float, log=print) -> torch.Tensor:
    """Gates [layers, kv heads] from 0 to 1."""
    config = model.config
    gates = torch.ones(config.num_hidden_layers, config.num_key_value_heads, requires_grad=True)
    optimizer = torch.optim.AdamW([gates], lr=0.02, weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, n_steps))
    for step in range(n_steps):
        ids, tail = sample(source, rng, int(rng.integers(lengths[0], lengths[1] + 1)), n_needles)
        ids = torch.tensor([ids[: lengths[1]]])
        # Heads that stream serve both: long texts, and questions behind what memory places.
        distance = loss_of(model, gates.clamp(0, 1), ids, min(tail, ids.shape[1] - 1), span, step % 2 == 1)
        loss = distance + weight * gates.abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            gates.clamp_(0, 1)
        if (step + 1) % max(n_steps // 10, 1) == 0:
            log(f"step {step + 1}: distance {distance.item():.4f}, mean gate {gates.mean().item():.3f}")
    return gates.detach()


def content_hash(paths: list[Path]) -> str:
    """What the engine knows a model's files by."""
    return hashlib.sha256("".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths).encode()).hexdigest()


def files_of(folder: Path) -> list[Path]:
    """The files of a checkpoint, in the engine's order."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return [folder / "config.json", folder / "model.safetensors"]
    shards = json.loads(index.read_text())["weight_map"].values()
    return [folder / "config.json", *(folder / name for name in sorted(set(shards)))]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder with config.json and safetensors")
    parser.add_argument("--text", help="a folder of code to hide things in; without it the model writes its own text")
    parser.add_argument("--for", dest="file", help="a GGUF file of the same weights that the gates are to lie beside")
    parser.add_argument("--out", help="another place for the gates")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--length", type=int, default=4096, help="the longest text, at most the model's context")
    parser.add_argument("--sinks", type=int, default=64)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--needles", type=int, default=10)
    parser.add_argument("--weight", type=float, default=0.02, help="of the mean gate, against the distance: more closes more heads")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    folder, rng = Path(args.model), np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)
    model, span = load(args.model), Span(args.sinks, args.window)
    longest = min(args.length, model.config.max_position_embeddings)
    if longest <= span.sinks + span.window:
        raise SystemExit(f"Texts of {longest} tokens hide nothing from sinks and window; make them longer or those smaller.")
    tokens = folder / "tokenizer.json"
    if args.text and not tokens.exists():
        raise SystemExit(f"{folder} has no tokenizer.json to read {args.text} with; leave --text out.")
    source = Coded(Tokenizer.from_file(str(tokens)), args.text, rng) if args.text else Written(model, longest, rng)
    lengths = (max(span.sinks + span.window, longest // 4), longest)
    gates = learn(model, source, rng, span=span, lengths=lengths, n_steps=args.steps, n_needles=args.needles, weight=args.weight)
    name = content_hash([Path(args.file)] if args.file else files_of(folder))
    out = Path(args.out or (f"{args.file}.{NAME}" if args.file else folder / NAME))
    rows = [[round(gate, 4) for gate in layer] for layer in gates.tolist()]
    known = json.loads(out.read_text()) if out.exists() else {}
    # What else was learned for the same files stays.
    kept = known if known.get("model") == name else {}
    out.write_text(json.dumps({**kept, "model": name, "sinks": span.sinks, "window": span.window, "gates": rows}) + "\n")
    flat = gates.flatten()
    print(f"{(flat >= 0.5).float().mean():.0%} of {len(flat)} heads need far tokens, {(flat < 0.05).float().mean():.0%} do not at all; written to {out}")


if __name__ == "__main__":
    main()
