"""Starts a larger model from a smaller one that computes the same function (Net2Net, arXiv 1511.05641), so that no training is lost:
`python -m training.grow --run NAME --config LARGER --to OTHER`.

Writes runs/OTHER/checkpoint.pt, which training continues. Every new channel is either written as zero and read at random, or the other
way round: it changes nothing at first, and gradients reach both sides. Layers are inserted with outputs of zero. Query and key norms of
the retrieval layers cannot be kept exactly, so their new query channels start small; the price is printed in bits per byte.
"""

import argparse
import io

import torch
from torch import Tensor

from . import tokenizer
from .bits import bits_per_byte, held_out_rows
from .config import CONFIGS
from .corpus import Corpus
from .model import Model
from .optimizer import Optimizer
from .paths import RUNS, write_atomic
from .samples import Sampler

SMALL_QUERY = 0.1
READS = ("attn_qkv", "attn_q", "attn_kv", "gate_down", "ffn_up", "ffn_gate", "route_q", "route_k")  # matrices that read the normed residual
ZERO_ROWS = ("attn_output", "ffn_down")  # matrices that write the residual
COPIED = ("decay", "sink", "window_bias", "class_bias", "route_scale")


def layer_map(old: tuple[str, ...], new: tuple[str, ...]) -> list[int | None]:
    """For every new layer the old layer it continues, None: inserted. Old layers keep their order and, as late as possible, their places."""
    places, i = [None] * len(new), len(old) - 1
    for j in reversed(range(len(new))):
        if i >= 0 and new[j] == old[i]:
            places[j], i = i, i - 1
    if i >= 0:
        raise SystemExit(f"the layers {''.join(k[0] for k in old)} are not contained in {''.join(k[0] for k in new)} in that order.")
    return places


def heads_first(x: Tensor, parts: int) -> Tensor:
    """[parts * c, ...] -> [parts, c, ...]: every part (a head of q, k or v) grows by itself."""
    return x.reshape(parts, x.shape[0] // parts, *x.shape[1:])


def place(new: Tensor, old: Tensor, parts: int = 1) -> None:
    """Copies `old` into the first rows (of each part) and columns of `new`."""
    into, values = heads_first(new, parts), heads_first(old, parts)
    into[tuple(slice(0, n) for n in values.shape)] = values


def grown(small: Model, large: Model) -> dict[str, Tensor]:
    """State of `large` (its random initialisation, overwritten where `small` decides)."""
    a, b = small.config, large.config
    narrow = (a.hidden_size / b.hidden_size) ** 0.5  # a padded vector's norm divides by more channels
    narrow_head = (a.head_size / b.head_size) ** 0.5
    n_heads, d, c = a.n_heads, a.hidden_size, a.head_size
    old, new = small.state_dict(), {name: t.clone() for name, t in large.state_dict().items()}
    new["token_embd"].zero_()
    place(new["token_embd"], old["token_embd"])
    place(new["output_norm"], old["output_norm"] * narrow)
    for layer, source in enumerate(layer_map(a.layers, b.layers)):
        names = [name for name in new if name.startswith(f"blk.{layer}.")]
        for name in names:
            part, x = name.rsplit(".", 1)[1], new[name]
            if part in ZERO_ROWS and (source is None or part == "ffn_down"):
                x.zero_()
            if source is None:
                continue
            y = old[name.replace(f"blk.{layer}.", f"blk.{source}.", 1)]
            lightning = a.layers[source] == "lightning"
            if part in COPIED:
                x.copy_(y)
            elif part == "attn_qkv":  # queries read at random what keys write as zero; values write zero
                heads_first(x, 3 * n_heads)[n_heads:, c:] = 0
                place(x, y * narrow, 3 * n_heads)
            elif part == "attn_q":
                heads_first(x, n_heads)[:, c:] *= SMALL_QUERY
                place(x, y * narrow, n_heads)
            elif part == "attn_kv":
                heads_first(x, 2)[:, c:] = 0
                place(x, y * narrow, 2)
            elif part == "conv":
                place(x, y, 3 * n_heads if lightning else n_heads + 2)
            elif part == "gate_up":
                x[:, a.gate_rank :] = 0
                place(x, y, n_heads)
            elif part == "attn_output":
                x[d:] = 0
                columns = torch.zeros(n_heads, b.head_size, d)
                columns[:, :c] = heads_first(y.T, n_heads) * (narrow_head if lightning else 1)
                fresh = heads_first(x.T, n_heads).clone()
                fresh[:, :c, :d], fresh[:, :, d:] = columns[:, :c], 0
                x.copy_(fresh.reshape(-1, b.hidden_size).T)
            elif part == "k_norm":
                place(x, y * narrow_head)
            elif part == "q_norm":
                x[:, :c] = y  # the head's wider norm and the smaller 1 / sqrt(c) cancel
            elif part in READS or part == "route_pool":
                place(x, y * narrow)
            else:
                place(x, y)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--config", choices=CONFIGS, required=True)
    parser.add_argument("--to", required=True)
    args = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    state = torch.load(RUNS / args.run / "checkpoint.pt", weights_only=True)
    small, large = Model(CONFIGS[state["config"]]).eval(), Model(CONFIGS[args.config]).eval()
    if (small.config.vocab_size, small.config.n_heads, small.config.route_size) != (large.config.vocab_size, large.config.n_heads, large.config.route_size):
        raise SystemExit(f"{small.config.name} and {large.config.name} must share vocabulary, number of heads and routing size.")
    small.load_state_dict(state["model"])
    large.load_state_dict(grown(small, large))
    sampler = Sampler(Corpus("validation"), tokenizer.load(tokenizer.path_of(small.config.vocab_size)), small.config)
    rows, sizes = held_out_rows(sampler, 48, 512)
    print(f"bits per byte: {bits_per_byte(small, rows, sizes):.4f} before, {bits_per_byte(large, rows, sizes):.4f} after")
    at = state["at"] | {"first_step": state["at"]["step"], "seconds": 0.0, "best": float("inf"), "tokens_before": state["at"]["tokens"]}
    buffer = io.BytesIO()
    torch.save(state | {"at": at, "model": large.state_dict(), "optimizer": Optimizer(large).state_dict(), "config": large.config.name}, buffer)
    (RUNS / args.to).mkdir(parents=True, exist_ok=True)
    write_atomic(RUNS / args.to / "checkpoint.pt", buffer.getvalue())


if __name__ == "__main__":
    main()
