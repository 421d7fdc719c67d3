"""Near-duplicate files by MinHash over pairs of consecutive non-trivial lines."""

import zlib

import numpy as np

N_HASHES, N_BANDS = 64, 16
_ODD = np.random.default_rng(7).integers(1, 2**63, size=N_HASHES, dtype=np.uint64) | np.uint64(1)
_ADD = np.random.default_rng(8).integers(0, 2**63, size=N_HASHES, dtype=np.uint64)


def signature(text: str) -> np.ndarray:
    """MinHash signature of a file: uint32 [N_HASHES]."""
    lines = [zlib.crc32(s.encode()) for s in map(str.strip, text.split("\n")) if len(s) > 3]
    values = np.array(lines or [zlib.crc32(text.encode())], dtype=np.uint64)
    if len(values) > 1:
        values = values[:-1] * np.uint64(0x9E3779B97F4A7C15) ^ values[1:] * np.uint64(0xC2B2AE3D27D4EB4F)
    values ^= values >> np.uint64(29)
    return ((values[:, None] * _ODD + _ADD) >> np.uint64(32)).min(axis=0).astype(np.uint32)


class Seen:
    """Accepts a file unless its estimated Jaccard similarity with an accepted one reaches the threshold."""

    def __init__(self, threshold: float = 0.85):
        self.threshold = threshold
        self.signatures: list[np.ndarray] = []
        self.bands: dict[tuple[int, bytes], int] = {}

    def accept(self, sig: np.ndarray) -> bool:
        keys = [(i, band.tobytes()) for i, band in enumerate(sig.reshape(N_BANDS, -1))]
        candidates = {self.bands[key] for key in keys if key in self.bands}
        if any((self.signatures[c] == sig).mean() >= self.threshold for c in candidates):
            return False
        for key in keys:
            self.bands.setdefault(key, len(self.signatures))
        self.signatures.append(sig)
        return True
