"""Quality of a run's best checkpoint on owners it never saw: `python -m training.evaluate --run NAME [--split test] [--int8]`."""

import argparse
import gzip
import json
import lzma

import numpy as np
import torch

from . import tokenizer
from .bits import bits_per_byte, held_out_rows
from .corpus import Corpus
from .export import load
from .line_completion import line_completion
from .memory_gain import memory_gain, summary
from .model import file_tensors, load_file_tensors
from .needle import needle
from .paths import RUNS, write_atomic
from .quantize import from_file, to_file
from .samples import Sampler
from .search_quality import search_quality


def compressors(sampler: Sampler, rows: np.ndarray, sizes: np.ndarray) -> dict:
    """gzip and xz on the very windows the model is measured on, each by itself (as the model sees them) and all in one."""
    texts = [sampler.tokenizer.decode(row[size > 0].tolist()).encode() for row, size in zip(rows, sizes)]
    n, out = sum(map(len, texts)), {}
    for name, compress in (("gzip", lambda b: gzip.compress(b, 9)), ("xz", lambda b: lzma.compress(b, preset=9 | lzma.PRESET_EXTREME))):
        out[f"{name}, each window"] = 8 * sum(len(compress(t)) for t in texts) / n
        out[f"{name}, all in one"] = 8 * len(compress(b"".join(texts))) / n
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    parser.add_argument("--int8", action="store_true", help="measure the weights as exported")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, at = load(args.run)
    if args.int8:
        load_file_tensors(model, from_file(to_file(file_tensors(model))))
    sampler = Sampler(Corpus(args.split), tokenizer.load(tokenizer.path_of(model.config.vocab_size)), model.config)
    report = {"run": args.run, "split": args.split, "int8": args.int8, "trained_tokens": at["tokens"]}

    def show(name: str, value) -> None:
        report[name] = value
        print(name, json.dumps(value, indent=None), flush=True)

    rows, sizes = held_out_rows(sampler, args.files, 512)
    show("bits per byte, windows of 512 tokens", bits_per_byte(model, rows, sizes))
    show("compressors on the same text", compressors(sampler, rows, sizes))
    rows, sizes = held_out_rows(sampler, args.files // 8, 2048)
    for start in (0, 512, 1024, 1536):
        part = np.where((np.arange(2048) >= start) & (np.arange(2048) < start + 512), sizes, 0)
        show(f"bits per byte, tokens {start}-{start + 511} of longer files", bits_per_byte(model, rows, part, batch=4))
    show("line completion", line_completion(model, sampler, args.files))
    show("line completion without what follows", line_completion(model, sampler, args.files, infill=False))
    show("documentation to function, mean reciprocal rank", search_quality(model, sampler, args.split, 1000))
    groups = memory_gain(model, sampler, args.files // 2, 512)
    show("memory, all files", summary(groups))
    if any(g["imports"] for g in groups):
        show("memory, files that import a memory file", summary([g for g in groups if g["imports"]]))
    for n_tokens in (10_000, 100_000, 1_000_000):
        show(f"needles, memory of {n_tokens} tokens", needle(model, sampler, n_tokens))
    write_atomic(RUNS / args.run / f"evaluation-{args.split}{'-int8' if args.int8 else ''}.json", json.dumps(report, indent=1).encode())


if __name__ == "__main__":
    main()
