"""golden.json: prompts with the reference model's logits and greedy continuations, for the engine's tests."""

from pathlib import Path

import torch

from .config import MEMORY_CLASSES
from .model import Memory, Model, State
from .samples import Sampler
from .tokenizer import FILE, PRE, SUF

HERE = Path(__file__).parent
PLAIN = ("tools/greet.py", 'import sys\n\n\ndef greet(name: str) -> str:\n    """Says hello."""\n    return ')
INFILL = (
    "src/list.ts",
    "export function sum(values: number[]): number {\n  let total = 0;\n  for (const value of values) {\n    ",
    "\n  }\n  return total;\n}\n\nexport function mean(values: number[]): number {\n  return sum(values) / values.length;\n}\n",
)


def round7(values: torch.Tensor) -> list:
    return [float(f"{x:.7g}") for x in values.tolist()] if values.dim() == 1 else [round7(row) for row in values]


def run(model: Model, ids: list[int], memory: Memory | None) -> dict:
    state = State()
    logits = model(torch.tensor([ids]), memory, state)[0, -1]
    greedy, last = [], logits
    for _ in range(40):
        greedy.append(int(last.argmax()))
        last = model(torch.tensor([greedy[-1:]]), memory, state)[0, -1]
    return {"ids": ids, "logits": round7(logits), "greedy": greedy}


def memory_case(model: Model, files: list[tuple[str, str, list[int]]], prompt: list[int]) -> dict:
    """A prompt with every block of other files visible: each file's path, class and ids."""
    size = model.config.block_size
    landmarks, keys, values, classes = [], [], [], []
    for _, name, ids in files:
        h, u = model.below(torch.tensor([ids]))
        k, v = model.memory_of(h)
        for start in range(0, len(ids), size):
            block = u[0, start : start + size]
            landmarks.append(model.landmarks(block, torch.ones(len(block), dtype=torch.bool)))
        keys.append(k)
        values.append(v)
        classes += [MEMORY_CLASSES.index(name)] * len(ids)
    memory = Memory(torch.cat(keys, 1), torch.cat(values, 1), torch.tensor([classes]))
    _, shown = model.above(model.below(torch.tensor([prompt]))[0], memory)
    query = round7(model.route_query(shown.u[0, -model.config.route_group :].mean(0), model.config.memory_layer))
    told = [{"path": path, "class": name, "ids": ids} for path, name, ids in files]
    return {"name": "memory", **run(model, prompt, memory), "memory": {"files": told, "landmarks": round7(torch.stack(landmarks)), "query": query}}


def own_files(sampler: Sampler) -> tuple[list[tuple[str, str, list[int]]], list[int]]:
    """Files of this folder for memory_case, and a prompt that imports from them."""
    files = [
        (path, name, [FILE, *sampler.encode(path), *sampler.encode("\n" + (HERE / Path(path).name).read_text())][:300])
        for path, name in (("training/config.py", "imported"), ("training/paths.py", "same_folder"))
    ]
    prompt = "\nfrom .config import CONFIGS\nfrom .paths import RUNS\n\nconfig = CONFIGS["
    return files, [FILE, *sampler.encode("training/run.py"), *sampler.encode(prompt)]


@torch.no_grad()
def golden(model: Model, sampler: Sampler) -> dict:
    path, text = PLAIN
    plain = [FILE, *sampler.encode(path), *sampler.encode("\n" + text)]
    path, prefix, suffix = INFILL
    infill = [FILE, *sampler.encode(path), SUF, *sampler.encode(suffix)[: model.config.suffix_tokens], PRE, *sampler.encode("\n" + prefix)]
    long = [FILE, *sampler.encode("training/lightning.py"), *sampler.encode("\n" + (HERE / "lightning.py").read_text())][:700]
    cases = [{"name": name, **run(model, ids, None)} for name, ids in (("plain", plain), ("spm", infill), ("long", long))]
    return {"format": model.config.to_json()["format"], "cases": [*cases, memory_case(model, *own_files(sampler))]}
