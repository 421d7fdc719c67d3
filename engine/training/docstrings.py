"""Pairs (documentation, function without it): `python -m training.docstrings` writes {split}-pairs.json."""

import json
import re

import numpy as np

from .corpus import Corpus
from .paths import DATA, write_atomic

PYTHON = re.compile(r'^([ \t]*)((?:async )?def \w+\([^"\']{0,300}?\)[^:\n]{0,80}:)\n[ \t]+[rR]?"""(.{10,600}?)"""[ \t]*\n', re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^([ \t]*)/\*\*(.{10,800}?)\*/[ \t]*\n(?=[ \t]*(?:export |public |private |protected |static |async |function |abstract |override |final |get |set |\w+\())",
                   re.MULTILINE | re.DOTALL)  # fmt: skip
LINES = re.compile(r"^([ \t]*)((?:[ \t]*///? [^\n]*\n){1,12})(?=[ \t]*(?:func |pub |fn |async fn ))", re.MULTILINE)
MAX_CODE, MIN_CODE, MAX_PAIRS = 700, 60, 60_000


def summary(doc: str) -> str:
    """The first sentence or paragraph, without comment signs and tags."""
    lines = [re.sub(r"^\s*(\*|///?|#)\s?", "", line).strip() for line in doc.strip().split("\n")]
    text = []
    for line in lines:
        if line.startswith(("@", ":param", "Args", "Parameters", "```", "Returns", ">>>")) or (not line and text):
            break
        text.append(line)
    return re.sub(r"\s+", " ", re.sub(r"\{@\w+ ([^}]*)\}|<[^>]+>", r"\1", " ".join(text))).strip()[:240]


def body(text: str, start: int, indent: str) -> str:
    """From `start` to the last line before the code returns to a shallower level, at most MAX_CODE characters."""
    lines = text[start : start + MAX_CODE].split("\n")
    kept = [lines[0]]
    for line in lines[1:]:
        if line.strip() and not line.startswith(indent + " ") and not line.startswith(indent + "\t"):
            if line.strip()[0] in ")}]":
                kept.append(line)
                continue
            break
        kept.append(line)
    return "\n".join(line[len(indent) :] if line.startswith(indent) else line for line in kept).strip()


def pairs_of(language: str, text: str) -> list[tuple[str, str]]:
    out = []
    if language == "python":
        for m in PYTHON.finditer(text):
            rest = body(text, m.start(2), m[1])
            out.append((summary(m[3]), rest.replace(m[3], "").replace('""""""', "")))
    elif language in ("typescript", "javascript", "java"):
        out = [(summary(m[2]), body(text, m.end(), m[1])) for m in BLOCK.finditer(text)]
    elif language in ("go", "rust"):
        out = [(summary(m[2]), body(text, m.end(), m[1])) for m in LINES.finditer(text)]
    return [(doc, code) for doc, code in out if len(doc.split()) >= 3 and len(code) >= MIN_CODE and doc not in code]


def main() -> None:
    for split in ("train", "validation", "test"):
        corpus, seen, rows = Corpus(split), set(), []
        for index in np.random.default_rng(0).permutation(len(corpus.files)):
            file = corpus.files[index]
            for doc, code in pairs_of(file.language, corpus.text(file))[:8]:
                if doc.lower() not in seen:
                    seen.add(doc.lower())
                    rows.append([file.path, doc, code])
            if len(rows) >= MAX_PAIRS:
                break
        write_atomic(DATA / f"{split}-pairs.json", json.dumps(rows).encode())
        print(f"{split}: {len(rows)} pairs")


if __name__ == "__main__":
    main()
