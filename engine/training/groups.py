"""Groups of 8 rows for the memory stage: 6 files of one repository and 2 strangers, each a sample and memory for the others."""

from dataclasses import dataclass

import numpy as np

from .config import MEMORY_CLASSES
from .corpus import GROUPS
from .imports import imported_files
from .rare_names import MadeUp, made_up
from .samples import Sampler
from .tokenizer import PAD, SPECIAL

GROUP_ROWS, KIN_ROWS = 8, 6
N_BLOCKS = 12  # blocks a row reads: half chosen by shared rare tokens, half at random, as routing would bring them with its mistakes
NO_MEMORY = 0.2  # share of rows that read nothing, so that the model works without an index
RARE_GROUPS, RARE_NAMES, RARE_WITHIN = 0.5, 6, 1200  # share of groups with made-up names, how many, in the first characters of a text
USERS, DECOYS = 2, 1  # files that use each of them; names that resemble it and stand for something else
OWN_BEFORE, OWN_AFTER, IMPORTED, SAME_FOLDER, OTHER = range(len(MEMORY_CLASSES))


@dataclass(frozen=True)
class Group:
    repository: int
    ids: np.ndarray  # [8, n + 1]
    classes: np.ndarray  # [8, 8] class of row j as memory of row i; -1 on the diagonal
    planted: list[tuple[int, int, int]]  # a row, and row and position of a made-up value that it uses or might take for one
    copies: list[tuple[int, int, int, int]]  # a row, the position before a value that it uses, row and position of the value's definition


def pick_kin(sampler: Sampler, rng: np.random.Generator, target: int) -> list[int]:
    """Up to five files beside the target: its imports first, then its folder, then any file of the repository."""
    corpus = sampler.corpus
    file = corpus.files[target]
    siblings = [i for i in corpus.by_repository[file.repository] if i != target and GROUPS[corpus.files[i].language] != "text"]
    folder = [i for i in siblings if corpus.files[i].folder == file.folder]
    imported = imported_files(corpus, target, corpus.text(file))
    chosen: list[int] = []
    for pool, most in ((imported, 3), (folder, 4), (siblings, KIN_ROWS - 1)):
        for i in rng.permutation(np.array(pool, dtype=int)):
            if len(chosen) < most and int(i) not in chosen:
                chosen.append(int(i))
    return chosen


def relation(sampler: Sampler, i: int, j: int, imports: dict[int, set[int]]) -> int:
    files = sampler.corpus.files
    if j in imports[i]:
        return IMPORTED
    return SAME_FOLDER if files[i].repository == files[j].repository and files[i].folder == files[j].folder else OTHER


def draw_group(sampler: Sampler, rng: np.random.Generator, length: int, plain_only: bool = False) -> Group:
    corpus = sampler.corpus
    while True:
        target = corpus.draw(rng)
        if GROUPS[corpus.files[target].language] != "text" and len(kin := pick_kin(sampler, rng, target)) == KIN_ROWS - 1:
            break
    members = [target, *kin]
    while len(members) < GROUP_ROWS:
        stranger = corpus.draw(rng)
        if corpus.files[stranger].repository != corpus.files[target].repository:
            members.append(stranger)
    texts = [corpus.text(corpus.files[m]) for m in members]
    imports = {m: set(imported_files(corpus, m, text)) for m, text in zip(members, texts)}
    classes = np.array([[relation(sampler, i, j, imports) for j in members] for i in members])
    texts = [text if plain_only or k == 0 else sampler.window(rng, m) for k, (m, text) in enumerate(zip(members, texts))]
    if not plain_only and len(corpus.text(corpus.files[target])) > 3000 and rng.random() < 0.5:
        # The far part of the target's own file takes the last kin's place: what "elsewhere in this file" looks like.
        cut = texts[0].find("\n", len(texts[0]) // 2) + 1
        members[5], texts[0], texts[5] = target, texts[0][:cut], texts[0][cut:]
        classes[5], classes[:, 5] = classes[0], classes[:, 0]
        classes[0, 5], classes[5, 0] = OWN_AFTER, OWN_BEFORE
    values = plant(rng, texts, [corpus.files[m].language for m in members[:KIN_ROWS]]) if not plain_only and rng.random() < RARE_GROUPS else []
    np.fill_diagonal(classes, -1)
    used, rows = set(members), []
    for m, text in zip(members, texts):
        file = corpus.files[m]
        ids = sampler.piece(rng, file, text, length, plain_only)
        rows.append(ids + [PAD] * (length - len(ids)) if plain_only else sampler.fill(rng, ids, length, file.repository, used))
    planted, copies = [], []
    for user, row, value in values:
        part = sampler.encode(value)
        at, used_at = position(rows[row], part), position(rows[user], part)
        planted += [(user, row, at)] if at >= 0 else []
        copies += [(user, used_at - 1, row, at)] if at >= 0 and used_at > 0 else []
    return Group(corpus.files[target].repository, np.array(rows), classes, planted, copies)


def position(ids: list[int], part: list[int]) -> int:
    """Where `part` stands in `ids`, -1 if nowhere."""
    return next((i for i in range(len(ids) - len(part)) if ids[i : i + len(part)] == part), -1)


def plant(rng: np.random.Generator, texts: list[str], languages: list[str]) -> list[tuple[int, int, str]]:
    """Made-up names into the kin's texts, and lines that use some of them into other kin's. Gives a row that uses a name, or
    could take another one for it, the row that defines it and its value."""

    def insert(row: int, part: str) -> None:
        line = texts[row].find("\n", int(rng.integers(min(len(texts[row]), RARE_WITHIN)))) + 1
        texts[row] = texts[row][:line] + part + texts[row][line:]

    def define(row: int, made: MadeUp) -> tuple[int, str]:
        insert(row, made.value.join(made.definition(languages[row])))
        return row, made.value

    values = []
    for _ in range(RARE_NAMES):
        made = made_up(rng)
        home, *users = rng.permutation(KIN_ROWS)[: USERS + 1].tolist()
        defined = [define(home, made), *(define(home, made.resembling(rng)) for _ in range(DECOYS))]
        for user in users:
            insert(user, made.value.join(made.use(languages[user])))
            values += [(user, row, value) for row, value in defined]
    return values


def choose_blocks(rng: np.random.Generator, group: Group, block: int, vocab_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of the group each row reads: index [8, N_BLOCKS] (row * blocks per row + block) and class [8, N_BLOCKS], -1: not visible;
    and the copies that they allow [copies, 5]: row, position, source's row and position, its class, -1 where there is none."""
    ids = group.ids[:, :-1]
    n_rows, per_row = len(ids), ids.shape[1] // block
    tokens = ids.reshape(n_rows * per_row, block)
    present = np.zeros((n_rows * per_row, vocab_size), dtype=np.float32)
    present[np.arange(len(tokens))[:, None], tokens] = 1
    present[:, : len(SPECIAL)] = 0
    rarity = np.log((1 + len(tokens)) / (1 + present.sum(0)))
    in_row = present.reshape(n_rows, per_row, -1).max(1)
    overlap = (in_row * rarity) @ present.T  # [8, blocks]
    index, classes = np.zeros((n_rows, N_BLOCKS), dtype=int), np.full((n_rows, N_BLOCKS), -1)
    owner = np.arange(len(tokens)) // per_row
    for r in range(n_rows):
        others = np.flatnonzero(owner != r)
        best = others[np.argsort(-overlap[r, others])[: N_BLOCKS // 2]]
        rest = rng.permutation(np.setdiff1d(others, best))[: N_BLOCKS - len(best)]
        index[r] = rng.permutation(np.concatenate([best, rest]))
        put_in(index[r], [row * per_row + at // block for user, row, at in group.planted if user == r and at < ids.shape[1]])
        if rng.random() >= NO_MEMORY:
            classes[r] = group.classes[r, owner[index[r]]]
    seen = [
        (user, used_at, row, at, group.classes[user, row])
        for user, used_at, row, at in group.copies
        if classes[user, 0] >= 0 and at < ids.shape[1] and row * per_row + at // block in index[user]
    ]
    copies = np.full((RARE_NAMES * USERS, 5), -1)
    copies[: len(seen)] = np.array(seen, dtype=int).reshape(-1, 5)
    return index, classes, copies


def put_in(index: np.ndarray, wanted: list[int]) -> None:
    """Overwrites other entries until every wanted block is among them, or no other is left."""
    missing = [b for b in dict.fromkeys(wanted) if b not in index]
    free = [i for i, b in enumerate(index) if b not in wanted][: len(missing)]
    index[free] = missing[: len(free)]
