"""The default model: Lightning layers with a few softmax retrieval layers, the last of which reads a memory. models/default/FORMAT.md defines it.

Names of parameters are those of the file. B rows, n tokens, H heads, c head size, M memory tokens.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MEMORY_CLASSES, Config
from .lightning import chunked, decay_table


def srms(x: Tensor, eps: float) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


def causal_conv(p: Tensor, taps: Tensor, tail: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Depthwise causal convolution. p [B, n, ch]; taps [ch, 3]; tail: the two rows before p [B, 2, ch]. Also the new tail."""
    k = taps.shape[1] - 1
    padded = F.pad(p, (0, 0, k, 0)) if tail is None else torch.cat([tail.to(p.dtype), p], dim=1)
    n = p.shape[1]
    out = sum(padded[:, k - a : k - a + n] * taps[:, a] for a in range(k + 1))
    return out, padded[:, n:]


@dataclass
class Memory:
    """What the memory layer reads besides its window. A row sees the tokens whose class is >= 0."""

    keys: Tensor  # [B, M, c]
    values: Tensor  # [B, M, c]
    classes: Tensor  # [B, M] int, -1: not visible


@dataclass
class State:
    """What a session carries from call to call. Lists are by layer."""

    conv: dict[int, Tensor] = field(default_factory=dict)
    lightning: dict[int, Tensor] = field(default_factory=dict)
    window: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass
class Retrieved:
    """What a retrieval layer shows to the training objective and to the monitor."""

    u: Tensor  # [B, n, d] its normalised input
    keys: Tensor  # [B, n, c]
    values: Tensor
    memory_mass: Tensor | None  # [B, n, M] attention probability of memory tokens, mean over heads, no gradient
    queries: Tensor  # [B, H, n, c] divided by the root of c
    log_total: Tensor  # [B, H, n] logarithm of the softmax's denominator


def matrix(rows: int, cols: int, gain: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, cols) * gain / cols**0.5)


def identity_conv(channels: int, taps: int) -> nn.Parameter:
    conv = torch.zeros(channels, taps)
    conv[:, 0] = 1
    return nn.Parameter(conv)


class Lightning(nn.Module):
    def __init__(self, config: Config, layer: int):
        super().__init__()
        d, self.config, self.layer, n_layers = config.hidden_size, config, layer, len(config.layers)
        self.attn_qkv = matrix(3 * d, d)
        self.conv = identity_conv(3 * d, config.conv_taps)
        self.register_buffer("decay", decay_table(config.n_heads, layer, n_layers))
        self.gate_down = matrix(config.gate_rank, d)
        self.gate_up = matrix(d, config.gate_rank)
        self.attn_output = matrix(d, d, gain=(2 * n_layers) ** -0.5)

    def forward(self, u: Tensor, memory: Memory | None, state: State | None) -> tuple[Tensor, None]:
        b, n, d = u.shape
        h, c, eps = self.config.n_heads, self.config.head_size, self.config.norm_eps
        p, tail = causal_conv(F.linear(u, self.attn_qkv).float(), self.conv, state and state.conv.get(self.layer))
        q, k, v = p.view(b, n, 3, h, c).permute(2, 0, 3, 1, 4)
        with torch.autocast(u.device.type, enabled=False):
            out, new = chunked(F.silu(q), F.silu(k), v, self.decay, state=state and state.lightning.get(self.layer))
        if state is not None:
            state.conv[self.layer], state.lightning[self.layer] = tail, new
        gate = torch.sigmoid(F.linear(F.linear(u, self.gate_down), self.gate_up).float())
        out = srms(out, eps).transpose(1, 2).reshape(b, n, d) * gate
        return F.linear(out, self.attn_output), None


class Retrieval(nn.Module):
    def __init__(self, config: Config, layer: int):
        super().__init__()
        d, c, h, self.config, self.layer = config.hidden_size, config.head_size, config.n_heads, config, layer
        self.attn_q = matrix(d, d)
        self.attn_kv = matrix(2 * c, d)
        self.conv = identity_conv(d + 2 * c, config.conv_taps)
        self.q_norm = nn.Parameter(torch.ones(h, c))
        self.k_norm = nn.Parameter(torch.ones(c))
        self.sink = nn.Parameter(torch.zeros(h))
        self.window_bias = nn.Parameter(torch.zeros(h, config.window))
        if layer in (config.landmark_layer, config.memory_layer):
            self.route_q = matrix(config.route_size, d)
        if layer == config.landmark_layer:
            self.route_k = matrix(config.route_size, d)
            self.route_pool = nn.Parameter(torch.zeros(d))
        if layer == config.memory_layer:
            self.class_bias = nn.Parameter(torch.zeros(h, len(MEMORY_CLASSES)))
            self.route_scale = nn.Parameter(torch.tensor([10.0]))
        self.attn_output = matrix(d, d, gain=(2 * len(config.layers)) ** -0.5)

    def forward(self, u: Tensor, memory: Memory | None, state: State | None) -> tuple[Tensor, Retrieved]:
        b, n, d = u.shape
        h, c, w, eps = self.config.n_heads, self.config.head_size, self.config.window, self.config.norm_eps
        p = torch.cat([F.linear(u, self.attn_q), F.linear(u, self.attn_kv)], dim=-1).float()
        p, tail = causal_conv(p, self.conv, state and state.conv.get(self.layer))
        q = srms(p[..., :d].view(b, n, h, c), eps) * self.q_norm
        k, v = srms(p[..., d : d + c], eps) * self.k_norm, p[..., d + c :]
        shown = (k, v)
        if state is not None:
            if self.layer in state.window:
                k, v = (torch.cat([old, new], dim=1) for old, new in zip(state.window[self.layer], (k, v)))
            state.conv[self.layer], state.window[self.layer] = tail, (k[:, -w + 1 :], v[:, -w + 1 :])
        q = q.transpose(1, 2) / c**0.5  # [B, H, n, c]
        m = k.shape[1]
        distance = torch.arange(m - n, m, device=u.device)[:, None] - torch.arange(m, device=u.device)[None, :]
        bias = self.window_bias[:, distance.clamp(0, w - 1)]
        bias = bias.masked_fill((distance < 0) | (distance >= w), float("-inf"))
        scores, sink = (q @ k[:, None].transpose(-1, -2)).float() + bias, self.sink[:, None, None]
        top = torch.maximum(scores.amax(-1, keepdim=True), sink).detach()
        if memory is not None:
            visible = self.class_bias[:, memory.classes.clamp(min=0)].transpose(0, 1)  # [B, H, M]
            visible = visible.masked_fill(memory.classes[:, None] < 0, float("-inf"))
            far = (q @ memory.keys[:, None].transpose(-1, -2)).float() + visible[:, :, None]
            top = torch.maximum(top, far.amax(-1, keepdim=True)).detach()
        # One softmax over window, memory and sink, without putting them side by side; the sink takes mass and gives nothing.
        weights = torch.exp(scores - top)
        total, out, mass = weights.sum(-1, keepdim=True) + torch.exp(sink - top), weights @ v[:, None], None
        if memory is not None:
            weights = torch.exp(far - top)
            total, out = total + weights.sum(-1, keepdim=True), out + weights @ memory.values[:, None]
            mass = (weights.detach() / total.detach()).mean(1)
        out = out.float() / total
        y = F.linear(out.transpose(1, 2).reshape(b, n, d), self.attn_output)
        return y, Retrieved(u, *shown, mass, q, (top + total.log())[..., 0])


class Block(nn.Module):
    def __init__(self, config: Config, layer: int):
        super().__init__()
        d, f, self.eps = config.hidden_size, config.ffn_size, config.norm_eps
        self.mixer = (Lightning if config.layers[layer] == "lightning" else Retrieval)(config, layer)
        self.ffn_up = matrix(f, d)
        self.ffn_gate = matrix(f, d)
        self.ffn_down = matrix(d, f, gain=(2 * len(config.layers)) ** -0.5)

    def forward(self, h: Tensor, memory: Memory | None, state: State | None) -> tuple[Tensor, Retrieved | None]:
        y, retrieved = self.mixer(srms(h, self.eps), memory, state)
        h = h + y.float()
        u = srms(h, self.eps)
        return h + F.linear(F.linear(u, self.ffn_up) * F.linear(u, self.ffn_gate), self.ffn_down).float(), retrieved


class Model(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Parameter(torch.randn(config.vocab_size, config.hidden_size) * 0.05)
        self.output_norm = nn.Parameter(torch.ones(config.hidden_size))
        self.blk = nn.ModuleList(Block(config, i) for i in range(len(config.layers)))

    def embed(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.token_embd)

    def lowest(self, ids: Tensor, state: State | None = None) -> Tensor:
        """Layers under the landmark layer: its input [B, n, d]."""
        h = self.embed(ids)
        for block in self.blk[: self.config.landmark_layer]:
            h, _ = block(h, None, state)
        return h

    def landmark_input(self, ids: Tensor) -> Tensor:
        """The normalised input [B, n, d] of the landmark layer."""
        return srms(self.lowest(ids), self.config.norm_eps)

    def below(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, Tensor]:
        """Layers under the memory layer: its input [B, n, d], and the landmark layer's, normalised."""
        h = lowest = self.lowest(ids, state)
        for block in self.blk[self.config.landmark_layer : self.config.memory_layer]:
            h, _ = block(h, None, state)
        return h, srms(lowest, self.config.norm_eps)

    def above(self, h: Tensor, memory: Memory | None, state: State | None = None) -> tuple[Tensor, Retrieved]:
        """The memory layer and everything over it. Also what the memory layer shows."""
        first, *rest = self.blk[self.config.memory_layer :]
        h, shown = first(h, memory, state)
        for block in rest:
            h, _ = block(h, None, state)
        return h, shown

    def logits(self, h: Tensor) -> Tensor:
        return F.linear(srms(h, self.config.norm_eps) * self.output_norm, self.token_embd).float()

    def forward(self, ids: Tensor, memory: Memory | None = None, state: State | None = None) -> Tensor:
        """Logits [B, n, V] of every position."""
        h, _ = self.above(self.below(ids, state)[0], memory, state)
        return self.logits(h)

    def memory_of(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """From the memory layer's input: the keys and values [B, n, c] that are stored."""
        mixer, d, c, eps = self.blk[self.config.memory_layer].mixer, self.config.hidden_size, self.config.head_size, self.config.norm_eps
        p, _ = causal_conv(F.linear(srms(h, eps), mixer.attn_kv).float(), mixer.conv[d:])
        return srms(p[..., :c], eps) * mixer.k_norm, p[..., c:]

    def landmarks(self, u: Tensor, valid: Tensor) -> Tensor:
        """Routing keys of groups of tokens. u [..., t, d], the landmark layer's normalised input; valid [..., t] bool, at least one true
        -> [..., r], unit length."""
        mixer = self.blk[self.config.landmark_layer].mixer
        weight = torch.softmax((u @ mixer.route_pool).float().masked_fill(~valid, float("-inf")), dim=-1)
        return F.normalize((weight[..., None, :] @ F.linear(u, mixer.route_k).float())[..., 0, :], dim=-1, eps=1e-6)

    def route_query(self, u: Tensor, layer: int) -> Tensor:
        """u [..., d], the layer's normalised input (mean over a group of tokens) -> [..., r], unit length."""
        return F.normalize(F.linear(u, self.blk[layer].mixer.route_q).float(), dim=-1, eps=1e-6)


def file_tensors(model: Model) -> dict[str, Tensor]:
    """Tensors under the names of the file format: the mixer's parameters belong to the block."""
    return {name.replace(".mixer.", "."): t.detach() for name, t in model.state_dict().items()}


def load_file_tensors(model: Model, tensors: dict[str, Tensor]) -> None:
    names = {name.replace(".mixer.", "."): name for name in model.state_dict()}
    model.load_state_dict({names[name]: t for name, t in tensors.items()})
