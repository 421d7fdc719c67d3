"""Training rows from files: plain text and fill-in-the-middle, in the layouts of models/default/FORMAT.md."""

import numpy as np
from tokenizers import Tokenizer

from .config import Config
from .corpus import Corpus, File
from .tokenizer import EOT, FILE, PAD, PRE, SUF

PLAIN = 0.50  # share of pieces; the rest is fill-in-the-middle
MIN_PIECE, MIN_INFILL = 32, 160  # tokens; a smaller rest of a row stays padding, and is plain text


class Sampler:
    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, config: Config):
        self.corpus, self.tokenizer, self.config = corpus, tokenizer, config

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def header(self, file: File) -> list[int]:
        return [FILE, *self.encode(file.path)]

    def plain(self, file: File, text: str, room: int) -> list[int]:
        ids = self.header(file) + self.encode("\n" + text[: room * 8])
        return (ids + [EOT])[:room] if len(text) <= room * 8 else ids[:room]

    def infill(self, rng: np.random.Generator, file: File, text: str, room: int) -> list[int]:
        """What follows the end of a line, then the text up to there. Where its middle begins is nobody's business: it goes on."""
        end = line_end(rng, text[: room * 3])
        suffix = self.encode(text[end : end + 1500])[: self.config.suffix_tokens]
        header = self.header(file)
        budget = max(room - len(header) - len(suffix) - 3, 0)
        before = self.encode("\n" + text[:end])
        if len(before) > budget:
            kept = text[max(0, end - 2 * budget) : end]
            before = self.encode("\n" + kept[kept.find("\n") + 1 :])
            before = before[max(0, len(before) - budget) :]
        return [*header, SUF, *suffix, PRE, *before, EOT]

    def piece(self, rng: np.random.Generator, file: File, text: str, room: int, plain_only: bool = False) -> list[int]:
        """At most `room` ids of a text of a file. Infills often take less, so that a row has more than one middle."""
        if plain_only or room < MIN_INFILL or rng.random() < PLAIN or len(text) < 40:
            return self.plain(file, text, room)
        return self.infill(rng, file, text, int(rng.integers(MIN_INFILL, room + 1)))[:room]

    def fill(self, rng: np.random.Generator, ids: list[int], length: int, repository: int, used: set[int]) -> list[int]:
        """Exactly `length` ids: other files of the repository follow while there is room, none of them in `used`, to which they are added."""
        siblings = self.corpus.by_repository[repository]
        for _ in range(8):
            if length - len(ids) < MIN_PIECE:
                break
            other = siblings[rng.integers(len(siblings))]
            if other not in used:
                used.add(other)
                ids = ids + self.piece(rng, self.corpus.files[other], self.window(rng, other), length - len(ids))
        return ids + [PAD] * (length - len(ids))

    def window(self, rng: np.random.Generator, index: int) -> str:
        """A file's text from its start or (half the time) from a random line start."""
        text = self.corpus.text(self.corpus.files[index])
        return text[window_start(rng, text) :]

    def row(self, rng: np.random.Generator, index: int, length: int) -> list[int]:
        file = self.corpus.files[index]
        return self.fill(rng, self.piece(rng, file, self.window(rng, index), length), length, file.repository, {index})

    def file_batch(self, rng: np.random.Generator, n_rows: int, length: int) -> np.ndarray:
        """[n_rows, length + 1] ids, every row of another draw."""
        return np.array([self.row(rng, self.corpus.draw(rng), length + 1) for _ in range(n_rows)])


def window_start(rng: np.random.Generator, text: str) -> int:
    """The file's start, or (half the time) a random line start."""
    if rng.random() < 0.5:
        return 0
    at = text.find("\n", int(rng.integers(len(text))))
    return 0 if at < 0 or len(text) - at < 200 else at + 1


def line_end(rng: np.random.Generator, text: str) -> int:
    """The end of a random line, as completions end with lines: a model whose middles end anywhere learns to stop after a character."""
    end = text.find("\n", int(rng.integers(len(text))))
    return len(text) if end < 0 else end
