"""Byte-level BPE: `python -m training.tokenizer --vocab 8192` trains on a sample of the training split and writes tokenizer-8192.json."""

import argparse
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpus import Corpus
from .paths import DATA, write_atomic

NAMES = "pad eot repo file path suf pre mid lmk doc func ask ans edit".split()
SPECIAL = {name: i for i, name in enumerate(NAMES + [f"reserved_{i}" for i in range(len(NAMES), 64)])}
PAD, EOT, FILE, SUF, PRE, DOC, ASK = (SPECIAL[n] for n in ("pad", "eot", "file", "suf", "pre", "doc", "ask"))


def is_memory(ids):
    """Which tokens others may see in memory, bool like ids. Padding is none of it, and neither is the token that begins a file: every
    text attends to its first token for want of something better, and would to that of each file it is shown (a sink; attention-calibration)."""
    return (ids != PAD) & (ids != FILE)


# A newline with the indentation after it is one piece, so are a run of letters with one leading space or underscore, a single digit,
# and a run of punctuation. Merges never cross these pieces.
PIECES = r"\r?\n[ \t]*|[ _]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}_]+|_+|[ \t]+(?!\S)|\s"


def train(texts, vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PIECES), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[f"<|{name}|>" for name in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def path_of(vocab_size: int) -> Path:
    return DATA / f"tokenizer-{vocab_size}.json"


def load(path: Path) -> Tokenizer:
    """Special tokens written out in a text stay text: only code adds their ids."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vocab", type=int, nargs="+", default=[4096, 8192])
    parser.add_argument("--sample-mb", type=float, default=24)
    args = parser.parse_args()
    corpus, rng, texts, size = Corpus("train"), np.random.default_rng(0), [], 0
    while size < args.sample_mb * 1e6:
        texts.append(corpus.text(corpus.files[corpus.draw(rng)])[:20_000])
        size += len(texts[-1])
    held_out = Corpus("validation")
    sample = [held_out.text(held_out.files[held_out.draw(rng)]) for _ in range(200)]
    for vocab_size in args.vocab:
        tokenizer = train(texts, vocab_size)
        write_atomic(path_of(vocab_size), tokenizer.to_str(pretty=True).encode())
        tokenizer = load(path_of(vocab_size))
        ids = [tokenizer.encode(text).ids for text in sample]
        if [tokenizer.decode(i) for i in ids] != sample:
            raise SystemExit("the tokenizer does not give the text back")
        print(f"{vocab_size}: {sum(len(t.encode()) for t in sample) / sum(map(len, ids)):.2f} bytes per token on held-out files")


if __name__ == "__main__":
    main()
