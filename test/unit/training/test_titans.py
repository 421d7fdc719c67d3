"""The memory that learns while it reads: its two forms are one, and each special case is the rule it must be."""

import unittest

import torch
import torch.nn.functional as F

from training.titans import Learned, Rates, empty, learn, sequential

M, N = 6, 37


def pairs(seed: int = 0, batch: int = 2, n: int = N) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return F.normalize(torch.randn(batch, n, M, dtype=torch.float64), dim=-1), torch.randn(batch, n, M, dtype=torch.float64)


def rates(theta: float, eta: float = 0.0, alpha: float = 0.0, batch: int = 2, n: int = N) -> Rates:
    return Rates(*(torch.full((batch, n), x, dtype=torch.float64) for x in (theta, eta, alpha)))


def some_rates(batch: int = 2, n: int = N) -> Rates:
    torch.manual_seed(1)
    return Rates(*(torch.rand(batch, n, dtype=torch.float64) * most for most in (0.05, 0.9, 0.1)))


def begun(batch: int = 2) -> Learned:
    torch.manual_seed(2)
    return Learned(*(torch.randn(2, batch, M, M, dtype=torch.float64)))


class Forms(unittest.TestCase):
    def assert_same(self, a: Learned, b: Learned, within: float = 1e-12):
        for x, y in zip(a, b):
            torch.testing.assert_close(x, y, rtol=0, atol=within)

    def test_chunks_equal_the_sequence(self):
        k, v = pairs()
        for chunk in (1, 8, 16, N, 64):
            self.assert_same(learn(k, v, some_rates(), begun(), chunk), sequential(k, v, some_rates(), begun(), chunk))

    def test_a_chunk_of_one_is_the_definition(self):
        k, v = pairs()
        r, (matrix, surprise) = some_rates(), begun()
        for t in range(N):
            at = matrix.clone().requires_grad_()
            loss = ((at @ k[:, t, :, None])[..., 0] - v[:, t]).square().sum()
            (gradient,) = torch.autograd.grad(loss, at)
            theta, eta, alpha = (rate[:, t, None, None] for rate in r)
            surprise = eta * surprise - theta * gradient
            matrix = (1 - alpha) * matrix + surprise
        self.assert_same(learn(k, v, r, begun(), 1), Learned(matrix, surprise))

    def test_reading_in_pieces_equals_reading_at_once(self):
        k, v = pairs()
        r, cut = some_rates(), 24
        first = learn(k[:, :cut], v[:, :cut], Rates(*(x[:, :cut] for x in r)), begun(), 8)
        self.assert_same(learn(k[:, cut:], v[:, cut:], Rates(*(x[:, cut:] for x in r)), first, 8), learn(k, v, r, begun(), 8))

    def test_what_comes_later_changes_nothing_before(self):
        k, v = pairs()
        r, cut = some_rates(), 16
        changed = v.clone()
        changed[:, cut:] += 1
        before, after = (learn(k[:, :cut], x[:, :cut], Rates(*(rate[:, :cut] for rate in r)), begun(), 8) for x in (v, changed))
        self.assert_same(before, after, within=0)
        whole = learn(k, changed, r, begun(), 8)
        self.assertGreater(float((whole.matrix - learn(k, v, r, begun(), 8).matrix).abs().max()), 1e-3)


class SpecialCases(unittest.TestCase):
    def test_without_momentum_and_forgetting_it_is_the_delta_rule(self):
        k, v = pairs()
        beta, w = 0.3, begun().matrix
        start = Learned(w, torch.zeros_like(w))
        for t in range(N):
            w = w + beta * (v[:, t] - (w @ k[:, t, :, None])[..., 0])[..., None] * k[:, t, None, :]
        torch.testing.assert_close(learn(k, v, rates(beta / 2), start, 1).matrix, w, rtol=0, atol=1e-12)

    def test_what_is_not_used_fades(self):
        k, v = pairs()
        w = begun().matrix
        faded = learn(k, v, rates(0.0, 0.0, 0.02), Learned(w, torch.zeros_like(w)), 8).matrix
        torch.testing.assert_close(faded, w * 0.98**N, rtol=0, atol=1e-12)

    def test_orthogonal_keys_are_recalled_exactly(self):
        k, v = pairs(n=4)
        k = torch.linalg.qr(k.transpose(1, 2))[0].transpose(1, 2)[:, :4]
        learned = learn(k, v, rates(0.5, n=4), empty(2, M, k), 1)
        torch.testing.assert_close((learned.matrix @ k.transpose(1, 2)).transpose(1, 2), v, rtol=0, atol=1e-12)

    def test_the_same_token_again_and_again_stays_bounded(self):
        """The worst case: every key of a chunk is the same. theta * chunk below 1 - eta holds it, twice as much does not."""
        k, v = (x[:, :1].expand(2, 1024, M) for x in pairs())
        for eta in (0.0, 0.5):
            safe = learn(k, v, rates(0.95 * (1 - eta) / 64, eta, n=1024), empty(2, M, k), 64)
            recalled = (safe.matrix @ k[:, 0, :, None])[..., 0]
            self.assertLess(float((recalled - v[:, 0]).abs().max()), float(v.abs().max()))
        wild = learn(k, v, rates(2 / 64, n=1024), empty(2, M, k), 64)
        self.assertGreater(float(wild.matrix.abs().max()), 1e3)


class Gradients(unittest.TestCase):
    def test_through_several_chunks(self):
        k, v = pairs(batch=1, n=10)
        r = Rates(*(x.clone().requires_grad_() for x in some_rates(1, 10)))
        start = begun(1).matrix.requires_grad_()

        def outcome(k, v, theta, eta, alpha, matrix):
            return learn(F.normalize(k, dim=-1), v, Rates(theta, eta, alpha), Learned(matrix, torch.zeros_like(matrix)), 4).matrix

        self.assertTrue(torch.autograd.gradcheck(outcome, (k.requires_grad_(), v.requires_grad_(), *r, start)))
