"""Training text from bare git snapshots: `python -m training.prepare --snapshots DIR [--out DIR]`.

DIR holds one bare git directory per repository at OWNER+NAME/repo. Every repository is read once at its newest commit and cached, so
the command can be repeated after adding snapshots. Writes {train,validation,test}.bin (UTF-8 text of all files), {split}.json (where
each file lies) and manifest.json (repository, commit, licence, split, files, bytes, reasons for leaving files out).
"""

import argparse
import hashlib
import json
import pickle
import subprocess
from collections import Counter
from multiprocessing import Pool
from pathlib import Path

from .dedup import Seen, signature
from .paths import DATA, write_atomic
from .sources import LANGUAGES, SKIPPED_PATHS, licence_of, rejection, split_of

MAX_FILE_BYTES = 100_000
MAX_REPOSITORY_BYTES = 4_000_000
LICENCE_NAMES = ("license", "licence", "copying", "unlicense")


def git(repo: Path, *args: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["git", f"--git-dir={repo}", *args], input=stdin, capture_output=True, check=True).stdout


def read_blobs(repo: Path, shas: list[str]) -> list[bytes]:
    out, blobs, at = git(repo, "cat-file", "--batch", stdin="\n".join(shas).encode() + b"\n"), [], 0
    for _ in shas:
        end = out.index(b"\n", at)
        header = out[at:end].split()
        size = int(header[2]) if len(header) == 3 else 0  # a blob the snapshot lacks answers "<sha> missing"
        blobs.append(out[end + 1 : end + 1 + size])
        at = end + 1 + (size + 1 if len(header) == 3 else 0)
    return blobs


def tree(repo: Path) -> list[tuple[str, str, int]]:
    """(path, sha, size) of every file of the newest commit."""
    entries = []
    for line in git(repo, "ls-tree", "-r", "-l", "-z", "HEAD").decode("utf-8", "replace").split("\0"):
        if not line:
            continue
        meta, path = line.split("\t", 1)
        mode, kind, sha, size = meta.split()
        if kind == "blob" and mode != "120000" and size.isdigit():
            entries.append((path, sha, int(size)))
    return entries


def licences(repo: Path, entries: list[tuple[str, str, int]]) -> tuple[str | None, list[str]]:
    """The root licence (None: not permissive) and the folders that carry a licence which is not."""
    found = [(p, sha) for p, sha, size in entries if p.rsplit("/", 1)[-1].lower().startswith(LICENCE_NAMES) and size < 200_000
             and not p.endswith((".py", ".js", ".ts", ".go", ".rs", ".java", ".svg", ".json", ".html"))]  # fmt: skip
    kinds = [(path, licence_of(blob.decode("utf-8", "replace"))) for (path, _), blob in zip(found, read_blobs(repo, [s for _, s in found]))]
    root = sorted({kind for path, kind in kinds if "/" not in path and kind})
    refused = [path.rsplit("/", 1)[0] + "/" for path, kind in kinds if "/" in path and kind is None]
    unknown_root = [path for path, kind in kinds if "/" not in path and kind is None and path.lower().split(".")[0] in LICENCE_NAMES]
    # A root file of another kind beside a permissive one means a dual licence only where the permissive one is a file of its own.
    if not root or (unknown_root and not any(path.lower().startswith(("license-", "licence-", "unlicense")) for path, kind in kinds if kind)):
        return None, refused
    return " OR ".join(root), refused


def read_repository(repo: Path) -> dict:
    """Everything kept of one repository: {repository, commit, licence, split, files: [(path, language, text, signature)], left_out}."""
    name = repo.parent.name.replace("+", "/", 1)
    commit = git(repo, "rev-parse", "HEAD").decode().strip()
    entries = tree(repo)
    licence, refused = licences(repo, entries)
    result = {"repository": name, "commit": commit, "licence": licence, "split": split_of(name), "files": [], "left_out": Counter()}
    if licence is None:
        return result
    # Whole folders stay together (files that import each other); which folders a large repository keeps is decided by hash.
    def order(entry: tuple[str, str, int]) -> tuple[str, str]:
        return hashlib.sha256(entry[0].rpartition("/")[0].encode()).hexdigest(), entry[0]

    wanted = [e for e in sorted(entries, key=order) if e[0].rsplit(".", 1)[-1].lower() in LANGUAGES and 200 <= e[2] <= MAX_FILE_BYTES
              and not SKIPPED_PATHS.search(e[0]) and not e[0].startswith(tuple(refused))]  # fmt: skip
    total = text_files = 0
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        for (path, _, _), blob in zip(part, read_blobs(repo, [sha for _, sha, _ in part])):
            try:
                text = blob.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
            except UnicodeDecodeError:
                result["left_out"]["not UTF-8"] += 1
                continue
            language = LANGUAGES[path.rsplit(".", 1)[-1].lower()]
            reason = rejection(path, text)
            if reason is None and language in ("config", "markdown") and (text_files := text_files + 1) > 150:
                reason = "enough text files"
            if reason is not None:
                result["left_out"][reason] += 1
                continue
            result["files"].append((path, language, text, signature(text)))
            total += len(text)
            if total > MAX_REPOSITORY_BYTES:
                return result
    return result


def cached(job: tuple[Path, Path]) -> dict:
    repo, cache = job
    try:
        commit = git(repo, "rev-parse", "HEAD").decode().strip()
    except subprocess.CalledProcessError:
        return {}
    file = cache / f"{repo.parent.name}-{commit[:12]}.pickle"
    if file.exists():
        return pickle.loads(file.read_bytes())
    result = read_repository(repo)
    write_atomic(file, pickle.dumps(result))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshots", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=DATA)
    args = parser.parse_args()
    cache = args.out / "repositories"
    cache.mkdir(parents=True, exist_ok=True)
    jobs = [(repo, cache) for repo in sorted(args.snapshots.glob("*/repo")) if (repo / "HEAD").exists()]
    with Pool(2) as pool:
        repositories = [r for r in pool.map(cached, jobs, chunksize=1) if r]
    manifest, seen = [], Seen()
    # Held-out files first: of two near-duplicates across splits the training copy is the one dropped.
    for split in ("test", "validation", "train"):
        text_parts, files, offset, names = [], [], 0, []
        for r in (r for r in repositories if r["split"] == split):
            n_bytes = Counter()
            for path, language, text, sig in r["files"]:
                if not seen.accept(sig):
                    r["left_out"]["near-duplicate"] += 1
                    continue
                data = text.encode()
                files.append([len(names), path, language, offset, len(data)])
                text_parts.append(data)
                offset += len(data)
                n_bytes[language] += len(data)
            manifest.append({"repository": r["repository"], "commit": r["commit"], "licence": r["licence"], "split": split,
                             "files": sum(f[0] == len(names) for f in files), "bytes": dict(n_bytes), "left_out": dict(r["left_out"])})  # fmt: skip
            names.append(r["repository"])
        write_atomic(args.out / f"{split}.bin", b"".join(text_parts))
        write_atomic(args.out / f"{split}.json", json.dumps({"repositories": names, "files": files}).encode())
        print(f"{split}: {len(names)} repositories, {len(files)} files, {offset / 1e6:.1f} MB")
    write_atomic(args.out / "manifest.json", json.dumps(manifest, indent=1).encode())
    print("not used (no permissive licence found):", [m["repository"] for m in manifest if m["licence"] is None])


if __name__ == "__main__":
    main()
