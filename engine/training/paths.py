"""Where prepared data and runs lie, and the one way files are written."""

import os
from pathlib import Path

HOME = Path(os.environ.get("LONGSIGHT_TRAINING", Path.home() / ".cache" / "longsight" / "training"))
DATA = HOME / "data"
RUNS = HOME / "runs"


def write_atomic(path: Path, data: bytes) -> None:
    """Writes under a temporary name, flushes to disk, renames: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
