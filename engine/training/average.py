"""Averages the last checkpoints of a run, which does most of what annealing would and costs no training:
`python -m training.average --run NAME --to OTHER [--most 8]`.

Writes runs/OTHER/best.pt: the average of as many of the newest checkpoints as gives the fewest bits per byte on validation files.
"""

import argparse
import io

import torch

from . import tokenizer
from .bits import bits_per_byte, held_out_rows
from .config import CONFIGS
from .corpus import Corpus
from .model import Model
from .paths import RUNS, write_atomic
from .samples import Sampler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--most", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(2)
    states = [torch.load(path, weights_only=True) for path in (RUNS / args.run).glob("keep-*.pt")]
    states = sorted(states, key=lambda s: s["at"]["step"], reverse=True)[: args.most]
    if not states:
        raise SystemExit(f"run {args.run} has kept no checkpoints yet.")
    model = Model(CONFIGS[states[0]["config"]]).eval()
    sampler = Sampler(Corpus("validation"), tokenizer.load(tokenizer.path_of(model.config.vocab_size)), model.config)
    rows, sizes = held_out_rows(sampler, 48, 512)
    total, best = {}, float("inf")
    for n, state in enumerate(states, 1):
        total = {name: t.double() + total.get(name, 0) for name, t in state["model"].items()}
        model.load_state_dict({name: (t / n).float() for name, t in total.items()})
        bits = bits_per_byte(model, rows, sizes)
        print(f"the last {n}, since step {state['at']['step']}: {bits:.4f} bits per byte", flush=True)
        if bits < best:
            best, buffer = bits, io.BytesIO()
            torch.save({"model": model.state_dict(), "config": model.config.name, "at": states[0]["at"] | {"averaged": n}}, buffer)
    write_atomic(RUNS / args.to / "best.pt", buffer.getvalue())


if __name__ == "__main__":
    main()
