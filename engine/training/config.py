"""The sizes that can be trained. config.json of a shipped model holds the same fields (see models/default/FORMAT.md)."""

from dataclasses import asdict, dataclass

FORMAT = "longsight-hybrid-2"
MEMORY_CLASSES = ("own_before", "own_after", "imported", "same_folder", "other")


@dataclass(frozen=True)
class Config:
    name: str
    vocab_size: int
    hidden_size: int
    ffn_size: int
    n_heads: int
    layers: tuple[str, ...]
    gate_rank: int
    conv_taps: int = 3
    window: int = 256
    block_size: int = 64
    route_size: int = 32
    route_group: int = 16
    route_top_blocks: int = 8
    norm_eps: float = 1e-6
    suffix_tokens: int = 128

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.n_heads

    @property
    def landmark_layer(self) -> int:
        """The first retrieval layer: it makes the landmarks of blocks and the queries of questions in words."""
        return self.layers.index("retrieval")

    @property
    def memory_layer(self) -> int:
        """The last retrieval layer: it makes the memory's keys and values, and it alone reads them."""
        return len(self.layers) - 1 - self.layers[::-1].index("retrieval")

    def to_json(self) -> dict:
        return {"format": FORMAT, **asdict(self), "head_size": self.head_size, "landmark_layer": self.landmark_layer, "memory_layer": self.memory_layer, "memory_classes": MEMORY_CLASSES}


def _layers(pattern: str) -> tuple[str, ...]:
    return tuple({"L": "lightning", "R": "retrieval"}[c] for c in pattern)


CONFIGS = {
    c.name: c
    for c in (
        Config("tiny", 4096, 128, 320, 4, _layers("LLRLRL"), gate_rank=32),
        Config("small", 4096, 256, 576, 4, _layers("LLLRLLRL"), gate_rank=64),
        Config("base", 8192, 256, 576, 4, _layers("LLLLLRLLLRLL"), gate_rank=64),
    )
}
