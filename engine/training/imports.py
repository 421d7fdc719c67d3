"""Which files of a repository a file names in its imports: by the last part of the module path, nearest folder first. Simple on purpose."""

import re
from functools import cache

from .corpus import Corpus

_PATTERNS = {
    "python": r"^\s*from\s+([\w.]+)\s+import|^\s*import\s+([\w.]+)",
    "javascript": r"""(?:from|require\(|import)\s*\(?\s*['"](\.[^'"]+)['"]""",
    "rust": r"^\s*(?:pub\s+)?(?:use\s+(?:crate|super|self)((?:::\w+)+)|mod\s+(\w+);)",
    "java": r"^import\s+(?:static\s+)?([\w.]+);",
    "c": r'^\s*#\s*include\s+"([^"]+)"',
}
_PATTERNS["typescript"] = _PATTERNS["javascript"]
PATTERNS = {language: re.compile(pattern, re.MULTILINE) for language, pattern in _PATTERNS.items()}


@cache
def stem(path: str) -> str:
    """The name a file is imported by: base name without endings; the folder's name for index and __init__ files."""
    parts = path.split("/")
    name = parts[-1].split(".")[0]
    return parts[-2] if name in ("index", "__init__", "mod") and len(parts) > 1 else name


def imported_stems(language: str, text: str) -> set[str]:
    if language not in PATTERNS:
        return set()
    found = set()
    for match in PATTERNS[language].finditer(text):
        name = next((g for g in match.groups() if g), "")
        last = re.sub(r"\.(js|ts|jsx|tsx|mjs|h|hpp)$", "", name).rstrip("/")
        parts = [p for p in re.split(r"::|/" if language in ("rust", "javascript", "typescript", "c") else r"\.", last) if p.strip(".")]
        found.update(parts[-2:] if language == "rust" else parts[-1:])
    return found


def imported_files(corpus: Corpus, index: int, text: str) -> list[int]:
    """Files of the same repository that `index` seems to import, at most one a name."""
    file = corpus.files[index]
    wanted, best = imported_stems(file.language, text), {}
    for other in corpus.by_repository[file.repository]:
        candidate = corpus.files[other]
        name = stem(candidate.path)
        if other != index and name in wanted and (candidate.language == file.language or {candidate.language, file.language} == {"typescript", "javascript"}):
            shared = len(common_prefix(candidate.path, file.path))
            if name not in best or shared > best[name][0]:
                best[name] = (shared, other)
    return [other for _, other in best.values()]


def common_prefix(a: str, b: str) -> str:
    n = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return a[:n]
