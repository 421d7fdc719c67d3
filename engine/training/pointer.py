"""A head that chooses among candidates: its output vocabulary is its input (Pointer Networks, arXiv 1506.03134).

B questions, n candidates, f features of one, q features of the question, d width. Entry 0 is "stop": no (further) candidate.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BOUND = 10.0  # scores lie within it, so that a perturbation of a fixed size means something
STOP = 0


class Pointer(nn.Module):
    """u_j = bound * tanh(v . tanh(W1 e_j + W2 h))."""

    def __init__(self, d: int):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(d, d) / d**0.5)
        self.w2 = nn.Parameter(torch.randn(d, d) / d**0.5)
        self.v = nn.Parameter(torch.randn(d) / d**0.5)

    def keys(self, e: Tensor) -> Tensor:
        """W1 e, made once for a question. e [B, n + 1, d]."""
        return F.linear(e, self.w1)

    def scores(self, keys: Tensor, h: Tensor) -> Tensor:
        """keys [B, n + 1, d], h [B, d] or [B, m, d] (m steps at once) -> u [B, n + 1] or [B, m, n + 1]."""
        asked = F.linear(h, self.w2)
        if h.dim() == 3:
            keys, asked = keys[:, None], asked[:, :, None]
        else:
            asked = asked[:, None]
        return BOUND * torch.tanh(torch.tanh(keys + asked) @ self.v)


class SetLayer(nn.Module):
    """Attention among all entries and a feed-forward layer, both normalised before and added. It knows no order."""

    def __init__(self, d: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, e: Tensor, valid: Tensor) -> Tensor:
        b, n, d = e.shape
        q, k, v = self.qkv(self.norm1(e)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2)) / (d // self.heads) ** 0.5
        weights = torch.softmax(scores.masked_fill(~valid[:, None, None], float("-inf")), dim=-1)
        e = e + self.out((weights @ v).transpose(1, 2).reshape(b, n, d))
        return e + self.down(torch.relu(self.up(self.norm2(e))))


class PointerHead(nn.Module):
    """Chooses a set of candidates for a question: every choice is made knowing the earlier ones."""

    def __init__(self, f: int, q: int, d: int = 64, layers: int = 2, heads: int = 4):
        super().__init__()
        self.embed = nn.Linear(f, d)
        self.ask = nn.Linear(q, d)
        self.stop = nn.Parameter(torch.randn(d) / d**0.5)
        self.layers = nn.ModuleList(SetLayer(d, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(d)
        self.start = nn.Linear(2 * d, d)
        self.gru = nn.GRUCell(d, d)
        self.pointer = Pointer(d)

    def encode(self, candidates: Tensor, query: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """candidates [B, n, f], query [B, q], valid [B, n] (false: padding) -> entries e [B, n + 1, d], first state h [B, d]."""
        asked = self.ask(query)
        e = torch.cat([self.stop.expand(len(query), 1, -1), self.embed(candidates)], dim=1) + asked[:, None]
        for layer in self.layers:
            e = layer(e, with_stop(valid))
        e = self.norm(e)
        # The entry "stop" has looked at all candidates: with the question it is where choosing starts.
        return e, torch.tanh(self.start(torch.cat([asked, e[:, STOP]], dim=-1)))

    def advance(self, e: Tensor, h: Tensor, chosen: Tensor) -> Tensor:
        """The state after a choice. chosen [B] entry numbers."""
        return self.gru(e[torch.arange(len(e)), chosen], h)


def with_stop(valid: Tensor) -> Tensor:
    return F.pad(valid, (1, 0), value=True)


def log_probabilities(u: Tensor, allowed: Tensor) -> Tensor:
    """log of one softmax over the allowed entries; -inf elsewhere."""
    return torch.log_softmax(u.float().masked_fill(~allowed, float("-inf")), dim=-1)


def unordered_loss(log_p: Tensor, remaining: Tensor) -> Tensor:
    """-log of what all right entries have together. log_p [B, n + 1]; remaining [B, n + 1] bool, at least one a row -> [B]."""
    return -torch.logsumexp(log_p.masked_fill(~remaining, float("-inf")), dim=-1)


def forced(head: PointerHead, candidates: Tensor, query: Tensor, valid: Tensor, gold: Tensor, most: int = 10**6) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The steps, `most` at most, that choose the gold set, of the remaining ones always the likeliest, and then stop.

    gold [B, n] bool. A step is u [B, n + 1], allowed [B, n + 1], right [B, n + 1], active [B]: what is not active has stopped before.
    """
    e, h = head.encode(candidates, query, valid)
    keys, allowed, remaining = head.pointer.keys(e), with_stop(valid), F.pad(gold & valid, (1, 0))
    active, steps = torch.ones(len(e), dtype=torch.bool), []
    while active.any() and len(steps) < most:
        u = head.pointer.scores(keys, h)
        right = remaining.clone()
        right[:, STOP] = ~remaining.any(-1)
        steps.append((u, allowed, right, active))
        chosen = u.detach().masked_fill(~right, float("-inf")).argmax(-1)
        active = active & (chosen != STOP)
        taken = F.one_hot(chosen, u.shape[-1]).bool() & (chosen != STOP)[:, None]
        allowed, remaining = allowed & ~taken, remaining & ~taken
        h = head.advance(e, h, chosen)
    return steps


@torch.no_grad()
def greedy(head: PointerHead, candidates: Tensor, query: Tensor, valid: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """At most `most` candidates, the likeliest entry each time. Gives what was chosen [B, n] bool, and the first step's log p [B, n + 1]."""
    e, h = head.encode(candidates, query, valid)
    keys, allowed = head.pointer.keys(e), with_stop(valid)
    chosen_set, first, active = torch.zeros_like(allowed), None, torch.ones(len(e), dtype=torch.bool)
    for _ in range(most):
        log_p = log_probabilities(head.pointer.scores(keys, h), allowed)
        first = log_p if first is None else first
        chosen = log_p.argmax(-1)
        active = active & (chosen != STOP)
        taken = F.one_hot(chosen, log_p.shape[-1]).bool() & active[:, None]
        chosen_set, allowed = chosen_set | taken, allowed & ~taken
        h = head.advance(e, h, chosen)
    return chosen_set[:, 1:], first


@torch.no_grad()
def beam(head: PointerHead, candidates: Tensor, query: Tensor, width: int, most: int) -> tuple[list[int], float]:
    """The likeliest sequence that a beam finds for one question, and its log-probability; it ends with stop or after `most` choices.

    candidates [n, f], query [q]. Gives candidate numbers from 0.
    """
    e, h = head.encode(candidates[None], query[None], torch.ones(1, len(candidates), dtype=torch.bool))
    keys, beams, ended = head.pointer.keys(e), [([], 0.0, h)], []
    for _ in range(most + 1):
        grown = []
        for chosen, score, h in beams:
            allowed = torch.ones(1, e.shape[1], dtype=torch.bool)
            allowed[0, chosen] = False
            if len(chosen) == most:
                ended.append((chosen, score))
                continue
            log_p = log_probabilities(head.pointer.scores(keys, h), allowed)[0]
            for entry in log_p.topk(min(width, int(allowed.sum()))).indices.tolist():
                total = score + float(log_p[entry])
                if entry == STOP:
                    ended.append((chosen, total))
                else:
                    grown.append((chosen + [entry], total, head.advance(e, h, torch.tensor([entry]))))
        # What has ended competes with what goes on, so that width 1 is the greedy choice.
        best = sorted([(s, c, None) for c, s in ended] + [(s, c, h) for c, s, h in grown], key=lambda b: -b[0])[:width]
        beams = [(c, s, h) for s, c, h in best if h is not None]
        ended = [(c, s) for s, c, h in best if h is None]
        if not beams:
            break
    chosen, score = max(ended, key=lambda b: b[1])
    return [entry - 1 for entry in chosen], score
