"""The simulation of a single attention layer: its gradients are autograd's, and it does what the theory says must happen."""

import unittest

import numpy as np
import torch

from training.scan_snap import COMMON, attention, classes, gain_errors, gradients, growth, growth_early, population, simulate, snap


class Gradients(unittest.TestCase):
    def test_equal_autograd(self):
        rng, data = np.random.default_rng(0), classes(2, 2)
        m, b = data.n_tokens, 16
        y, z = rng.normal(size=(m, m)), rng.normal(size=(m, m))
        n = rng.integers(4, size=b)
        counts = rng.multinomial(30, data.p[n]).astype(float)
        dy, dz = gradients(counts, data.query[n], data.next[n], y, z)
        ty, tz = (torch.tensor(w, requires_grad=True) for w in (y, z))
        weights = torch.tensor(counts) * torch.exp(tz[data.query[n]])
        logits = torch.nn.functional.normalize(weights / weights.sum(1, keepdim=True), dim=1) @ ty
        torch.nn.functional.cross_entropy(logits, torch.tensor(data.next[n])).backward()
        np.testing.assert_allclose(dy, -ty.grad.numpy(), atol=1e-10)
        rows = np.zeros((m, m))
        np.add.at(rows, data.query[n], dz)
        np.testing.assert_allclose(rows, -tz.grad.numpy(), atol=1e-10)
        asked = np.zeros(m, dtype=bool)
        asked[data.query[n]] = True
        self.assertTrue((rows[~asked] == 0).all())

    def test_row_sums_stay_zero(self):
        run = simulate(classes(2, 2), 1.0, 1.0, 30, 0, uniform=False)
        np.testing.assert_allclose(run.y.sum(1), 0, atol=1e-12)
        np.testing.assert_allclose(run.z.sum(1), 0, atol=1e-12)

    def test_long_sequences_attend_like_the_population(self):
        rng, data = np.random.default_rng(1), classes(1, 2)
        z = rng.normal(size=(1, data.n_tokens))
        counts = rng.multinomial(4_000_000, data.p[0])[None].astype(float)
        np.testing.assert_allclose(attention(counts, z), attention(data.p[:1], z), rtol=0.01)


class Theory(unittest.TestCase):
    def test_relative_gain_is_exact_in_the_logits(self):
        data = classes(1, 2)
        run = population(data, 0.1, 0.05, 400)
        first, last, z = run.masses[0][0], run.masses[-1][0], run.z[data.query[0]]
        a, b = data.distinct(0).start + 3, data.distinct(0).start + 8
        np.testing.assert_allclose((last[a] / last[b]) ** 2, (first[a] / first[b]) ** 2 * np.exp(2 * (z[a] - z[b])), rtol=1e-9)

    def test_common_tokens_fall_and_frequent_distinct_ones_rise_first(self):
        data = classes(1, 2)
        z = population(data, 0.1, 0.1, 40).z[data.query[0]]
        self.assertTrue((z[:COMMON] < 0).all())
        self.assertTrue((z[data.distinct(0)] > 0).all())
        self.assertTrue((np.diff(z[data.distinct(0)]) > 0).all())

    def test_relative_gain_follows_where_the_decoder_is_faster(self):
        data = classes(1, 2)
        slow, fast = (gain_errors(data, population(data, 0.02 * ratio, 0.02, 2000)).mean() for ratio in (1, 20))
        self.assertGreater(slow, 0.03)
        self.assertLess(fast, slow / 4)

    def test_a_step_has_one_sequence_of_each_class(self):
        data = classes(1, 2)
        dy, dz = gradients(data.p, data.query, data.next, np.zeros((data.n_tokens,) * 2), np.zeros((data.n_tokens,) * 2))
        np.testing.assert_allclose(population(data, 0.5, 0.5, 1).y, 0.5 * 2 * dy)

    def test_growth_in_closed_form(self):
        times = np.linspace(1, 30, 20)
        np.testing.assert_allclose(growth(0.5, 0.5, 10, 10**6, 1.0, times), growth_early(0.5, 0.5, 10, 1.0, times), atol=1e-4)
        later = [growth(rate, 0.5, 10, 1000, 1.0, np.array([700.0]))[0] for rate in (0.5, 1, 2, 5)]
        self.assertTrue((np.diff(later) < 0).all())

    def test_snap(self):
        times = 1.3 ** np.arange(10.0)
        self.assertEqual(snap(times, np.array([0.1, 0.5, 1, 0.6, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1])), times[6])
        self.assertIsNone(snap(times, np.linspace(0, 1, 10)))
