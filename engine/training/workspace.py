"""What a workspace's code taught beside the model's weights: a Titans memory over the model's last hidden vectors, learned while reading.

A token's key is its hidden vector, its value what the prediction lacked: the embedding of the token that came less the mean embedding of what
was expected. What is read is added to the hidden vector, so an empty memory changes nothing. How far a text believes its memory is decided by
the text itself: the two predictions are mixed by how well each did on the text's tokens so far, so that a stranger's memory is soon ignored.
d width of the model, V its vocabulary, m width of the memory; x [B, n, d] hidden vectors as the output matrix takes them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .titans import Learned, Rates, empty, learn

CHUNK = 64
MAX_MOMENTUM, MAX_FORGETTING = 0.95, 0.1
# A text begins undecided, and what it finds may change: a share of every decision is taken back with each token.
UNDECIDED, TAKEN_BACK = 0.5, 0.01


class WorkspaceMemory(nn.Module):
    def __init__(self, d: int, m: int, loudness: float = 400.0):
        """loudness: how much of a lack is written. Steps must be short to be stable, one for each of 64 equal tokens, so they are loud."""
        super().__init__()
        self.m = m
        same = torch.randn(m, d) / d**0.5
        self.w_k, self.w_q = nn.Parameter(same.clone()), nn.Parameter(same.clone())
        basis = torch.linalg.qr(torch.randn(d, m))[0]
        self.loudness = nn.Parameter(torch.tensor(loudness).log())
        self.w_v, self.w_o = nn.Parameter(basis.T.clone()), nn.Parameter(basis.clone())
        self.rate, self.gate = nn.Linear(d, 3), nn.Linear(d, 1)
        for layer, bias in ((self.rate, (0.0, -3.0, -7.0)), (self.gate, (0.0,))):
            nn.init.zeros_(layer.weight)
            layer.bias.data = torch.tensor(bias)

    def rates(self, x: Tensor) -> Rates:
        """Of every token; momentum makes steps longer, so it shortens them, and equal tokens of a chunk stay stable."""
        theta, eta, alpha = torch.sigmoid(self.rate(x)).unbind(-1)
        eta = eta * MAX_MOMENTUM
        return Rates(theta * (1 - eta) / CHUNK, eta, alpha * MAX_FORGETTING)

    def learn(self, x: Tensor, lack: Tensor, start: Learned | None = None) -> Learned:
        """lack [B, n, d]: what the prediction behind each token lacked."""
        keys = F.normalize(F.linear(x, self.w_k), dim=-1)
        values = F.linear(lack, self.w_v) * self.loudness.exp()
        return learn(keys, values, self.rates(x), start or empty(len(x), self.m, x), CHUNK)

    def read(self, matrix: Tensor, x: Tensor) -> Tensor:
        """What is added to hidden vectors [B, n, d]."""
        found = F.normalize(F.linear(x, self.w_q), dim=-1) @ matrix.transpose(-1, -2)
        return torch.sigmoid(self.gate(x)) * F.linear(found, self.w_o)


def lacks(x: Tensor, following: Tensor, embedding: Tensor) -> Tensor:
    """The embedding of the token that follows less the expected one. x [n, d], following [n], embedding [V, d] -> [n, d]."""
    expected = torch.cat([torch.softmax(part @ embedding.T, dim=-1) @ embedding for part in x.split(512)])
    return embedding[following] - expected


def mixed(without: Tensor, using: Tensor) -> Tensor:
    """Log-probabilities [n] of a text's tokens by the mixture, from those without the memory and those using it."""
    out, trust = torch.empty_like(without), UNDECIDED
    for t, (a, b) in enumerate(zip(without.double().exp().tolist(), using.double().exp().tolist())):
        both = (1 - trust) * a + trust * b
        out[t] = math.log(both)
        trust = (1 - TAKEN_BACK) * trust * b / both + TAKEN_BACK * UNDECIDED
    return out
