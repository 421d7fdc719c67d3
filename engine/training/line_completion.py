"""Completing the rest of a line of held-out files, by greedy decoding."""

import difflib

import numpy as np
import torch

from .model import Model, State
from .samples import Sampler
from .sources import GROUPS
from .tokenizer import EOT, PRE, SUF


@torch.no_grad()
def greedy(model: Model, ids: list[int], most: int, stop: callable) -> list[int]:
    state, out = State(), []
    last = model(torch.tensor([ids]), None, state)[0, -1]
    while len(out) < most:
        token = int(last.argmax())
        if token == EOT:
            break
        out.append(token)
        if stop(out):
            break
        last = model(torch.tensor([[token]]), None, state)[0, -1]
    return out


def line_completion(model: Model, sampler: Sampler, n: int, seed: int = 5, infill: bool = True) -> dict:
    """Exact match and edit similarity of the rest of a line, cut anywhere. infill: suffix first; otherwise only what stands before."""
    rng, corpus = np.random.default_rng(seed), sampler.corpus
    exact, similarity, done = 0, 0.0, 0
    while done < n:
        file = corpus.files[corpus.draw(rng)]
        text = corpus.text(file)
        line_start = text.rfind("\n", 0, int(rng.integers(len(text)))) + 1
        line = text[line_start : (text + "\n").find("\n", line_start)]
        if GROUPS[file.language] == "text" or len(line.strip()) < 12:
            continue
        indent = len(line) - len(line.lstrip())
        cut = indent + int(rng.integers(1, len(line) - indent - 4))
        rest, at = line[cut:], line_start + cut
        kept = text[max(0, at - 1200) : at]
        prefix = kept[kept.find("\n") + 1 :] if at > 1200 else kept
        suffix = sampler.encode(text[at + len(rest) : at + len(rest) + 1000])[: model.config.suffix_tokens]
        before = sampler.encode("\n" + prefix)
        ids = [*sampler.header(file), SUF, *suffix, PRE, *before] if infill else [*sampler.header(file), *before]
        out = sampler.tokenizer.decode(greedy(model, ids, 32, lambda o: "\n" in sampler.tokenizer.decode(o[-1:]))).split("\n")[0]
        exact += out.rstrip() == rest.rstrip()
        similarity += difflib.SequenceMatcher(None, out, rest).ratio()
        done += 1
    return {"lines": n, "exact, %": 100 * exact / n, "edit similarity": similarity / n}
