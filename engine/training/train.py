"""One run of training: `python -m training.train --run NAME --config tiny --stage file [--from OTHER | --from-export] [--minutes M | --tokens N]`.

Repeating the command continues the run from its last checkpoint; killing it at any moment loses at most the time since then. Without a
budget the learning rate stays constant for ever, and `--from NAME --minutes M --decay 1` in a new run anneals it. The data position is
the step number: rows of a step depend only on (seed, step).
"""

import argparse
import io
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from . import export, stages, tokenizer
from .bits import bits_per_byte, held_out_rows, validation_sampler
from .config import CONFIGS
from .corpus import Corpus
from .model import Model
from .optimizer import Optimizer, lr_factor
from .paths import RUNS, write_atomic
from .samples import Sampler

LOG_STEPS, CHECKPOINT_SECONDS, VALIDATION_SECONDS = 20, 120, 300
KEPT = 12  # weights of the last checkpoints, for average.py


def save(path, checkpoint: dict) -> None:
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    write_atomic(path, buffer.getvalue())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--config", choices=CONFIGS, required=True)
    parser.add_argument("--stage", choices=stages.STAGES, required=True)
    parser.add_argument("--from", dest="parent", help="run whose weights and optimiser state to start from")
    parser.add_argument("--from-export", action="store_true", help="start from the weights in models/default, with a fresh optimiser")
    parser.add_argument("--minutes", type=float, help="budget of training time")
    parser.add_argument("--tokens", type=float, help="budget of tokens")
    parser.add_argument("--decay", type=float, default=0.2, help="share of the budget over which the rate falls")
    parser.add_argument("--rate", type=float, default=1.0, help="learning rate, as a share of the optimiser's")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--micro-rows", type=int, default=8, help="rows of one forward and backward pass; a step accumulates --rows of them")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eager", action="store_true", help="do not compile (starts at once, runs slower)")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    config, folder = CONFIGS[args.config], RUNS / args.run
    folder.mkdir(parents=True, exist_ok=True)
    own, parent = folder / "checkpoint.pt", RUNS / (args.parent or "") / "checkpoint.pt"
    model, tokens = export.load_export() if args.from_export and not own.exists() else (Model(config), 0)
    if model.config != config:
        raise SystemExit(f"models/default holds the size {model.config.name}, not {config.name}.")
    optimizer = Optimizer(model)
    step = tokens // (args.rows * args.length)
    at = {"step": step, "first_step": step, "tokens": tokens, "seconds": 0.0, "best": float("inf"), "tokens_before": tokens}
    if own.exists() or args.parent:
        state = torch.load(own if own.exists() else parent, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        at = state["at"]
        if not own.exists():
            at |= {"first_step": at["step"], "seconds": 0.0, "best": float("inf"), "tokens_before": at["tokens"]}
    sampler = Sampler(Corpus("train"), tokenizer.load(tokenizer.path_of(config.vocab_size)), config)
    rows, sizes = held_out_rows(validation_sampler(sampler), 48, 512)
    stage = stages.STAGES[args.stage]
    loss_of = stage.loss if args.eager else torch.compile(stage.loss)
    log = open(folder / "log.jsonl", "a", buffering=1)

    def note(**values) -> None:
        line = json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()})
        log.write(line + "\n")
        print(line, flush=True)

    n_micro = max(1, args.rows // args.micro_rows)

    def batches(step: int) -> list:
        return [stage.batch(sampler, np.random.default_rng([args.seed, step, i]), args.micro_rows, args.length) for i in range(n_micro)]

    def checkpoint() -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "at": at, "config": config.name}
        save(own, state)
        save(folder / f"keep-{at['step']:09}.pt", {"model": state["model"], "at": at, "config": config.name})
        for old in sorted(folder.glob("keep-*.pt"))[:-KEPT]:
            old.unlink()

    def validate() -> None:
        model.eval()
        bits = bits_per_byte(model, rows, sizes)
        model.train()
        note(step=at["step"], tokens=at["tokens"], seconds=at["seconds"], validation_bits_per_byte=bits)
        if bits < at["best"]:
            at["best"] = bits
            save(folder / "best.pt", {"model": model.state_dict(), "config": config.name, "at": at})

    def progress() -> float:
        by_time = at["seconds"] / 60 / args.minutes if args.minutes else 0.0
        by_tokens = (at["tokens"] - at.get("tokens_before", 0)) / args.tokens if args.tokens else 0.0
        return max(by_time, by_tokens)

    stopping = []
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: stopping.append(True))
    note(run=args.run, config=config.name, stage=args.stage, parameters=sum(p.numel() for p in model.parameters()), **at)
    pool, last_save, last_validation, sums = ThreadPoolExecutor(1), at["seconds"], at["seconds"], {}
    upcoming, mark = pool.submit(batches, at["step"]), time.monotonic()
    since = (at["tokens"], at["seconds"])
    while progress() < 1 and not stopping:
        micro_batches = upcoming.result()
        upcoming = pool.submit(batches, at["step"] + 1)
        for data in micro_batches:
            with torch.autocast("cpu", torch.bfloat16):
                loss, parts = loss_of(model, *data)
            (loss / n_micro).backward()
            for name, value in parts.items():
                sums.setdefault(name, []).append(float(value))
        factor = args.rate * lr_factor(at["step"] - at["first_step"], progress(), args.decay if args.minutes or args.tokens else 0.0)
        optimizer.step(factor)
        at["step"] += 1
        at["tokens"] += n_micro * args.micro_rows * args.length
        now = time.monotonic()
        at["seconds"], mark = at["seconds"] + now - mark, now
        if at["step"] % LOG_STEPS == 0:
            rate = (at["tokens"] - since[0]) / max(1e-9, at["seconds"] - since[1])
            note(step=at["step"], tokens=at["tokens"], seconds=at["seconds"], lr=factor, tokens_per_s=round(rate), **{k: float(np.mean(v)) for k, v in sums.items()})
            since, sums = (at["tokens"], at["seconds"]), {}
        if at["seconds"] - last_validation > VALIDATION_SECONDS:
            validate()
            last_validation = at["seconds"]
        if at["seconds"] - last_save > CHECKPOINT_SECONDS:
            checkpoint()
            last_save = at["seconds"]
    validate()
    checkpoint()


if __name__ == "__main__":
    main()
