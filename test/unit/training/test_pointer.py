"""The pointer head: what must hold exactly whatever its weights are."""

import math
import unittest

import numpy as np
import torch

from training.hull import HullNet, area, hull, is_simple
from training.pointer import STOP, Pointer, PointerHead, beam, forced, greedy, log_probabilities, unordered_loss, with_stop
from training.pointer_train import by_chosen, collate, place_loss, places, prepared, spans_of


def head(seed: int = 0) -> PointerHead:
    torch.manual_seed(seed)
    return PointerHead(f=6, q=3, d=16, layers=2, heads=2).eval()


def first_scores(net: PointerHead, candidates, query, valid):
    e, h = net.encode(candidates, query, valid)
    return net.pointer.scores(net.pointer.keys(e), h)


class Scores(unittest.TestCase):
    def test_one_softmax_over_what_is_allowed(self):
        net = head()
        with torch.no_grad():
            valid = torch.rand(4, 20) < 0.6
            u = first_scores(net, torch.randn(4, 20, 6), torch.randn(4, 3), valid)
        p = log_probabilities(u, with_stop(valid)).exp()
        torch.testing.assert_close(p.sum(-1), torch.ones(4))
        self.assertTrue((p[:, 1:][~valid] == 0).all())
        self.assertTrue((u.abs() <= 10).all())
        only_stop = log_probabilities(u, with_stop(torch.zeros_like(valid))).exp()
        self.assertTrue((only_stop[:, STOP] == 1).all())

    def test_knows_no_order(self):
        net, x, q = head(), torch.randn(2, 30, 6), torch.randn(2, 3)
        everything, order = torch.ones(2, 30, dtype=torch.bool), torch.randperm(30)
        with torch.no_grad():
            u, permuted = first_scores(net, x, q, everything), first_scores(net, x[:, order], q, everything)
        torch.testing.assert_close(permuted[:, 1:], u[:, 1:][:, order], rtol=0, atol=1e-5)
        torch.testing.assert_close(permuted[:, STOP], u[:, STOP], rtol=0, atol=1e-5)

    def test_an_lstm_encoder_would_know_order(self):
        torch.manual_seed(0)
        net, points = HullNet(points_at=True), torch.rand(1, 8, 2)

        def u(points):
            _, e, _ = net.encode(points)
            return net.pointer.scores(net.pointer.keys(e), torch.zeros(1, e.shape[-1]))[:, 1:]

        order = torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])
        with torch.no_grad():
            self.assertGreater(float((u(points[:, order]) - u(points)[:, order]).abs().max()), 1e-3)

    def test_padding_and_any_number_of_candidates(self):
        net = head()
        with torch.no_grad():
            for n in (1, 3, 50, 500):
                x, q = torch.randn(1, n, 6), torch.randn(1, 3)
                alone = first_scores(net, x, q, torch.ones(1, n, dtype=torch.bool))
                padded = torch.cat([x, 100 * torch.randn(1, 40, 6)], 1)
                wide = first_scores(net, padded, q, torch.arange(n + 40)[None] < n)
                torch.testing.assert_close(wide[:, : n + 1], alone, rtol=0, atol=1e-5)

    def test_gradients(self):
        torch.manual_seed(1)
        pointer, e, h = Pointer(4).double(), torch.randn(1, 3, 4, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)

        def scores(v, w1, w2):
            return 10 * torch.tanh(torch.tanh(e @ w1.T + h @ w2.T) @ v)

        values = (pointer.v, pointer.w1, pointer.w2)
        torch.testing.assert_close(scores(*values), pointer.scores(pointer.keys(e), h))

        self.assertTrue(torch.autograd.gradcheck(scores, values))


class Choices(unittest.TestCase):
    def test_forced_steps_are_single_steps(self):
        net, x, q = head(), torch.randn(3, 12, 6), torch.randn(3, 3)
        valid, gold = torch.ones(3, 12, dtype=torch.bool), torch.rand(3, 12) < 0.3
        gold[2] = False
        with torch.no_grad():
            steps = forced(net, x, q, valid, gold)
            self.assertEqual(len(steps), int(gold.sum(-1).max()) + 1)
            for row in range(3):
                e, h = net.encode(x[row : row + 1], q[row : row + 1], valid[row : row + 1])
                for u, allowed, right, active in steps:
                    if not active[row]:
                        break
                    alone = net.pointer.scores(net.pointer.keys(e), h)
                    torch.testing.assert_close(alone[0], u[row], rtol=0, atol=1e-5)
                    h = net.advance(e, h, u[row].masked_fill(~right[row], -math.inf).argmax()[None])
                self.assertEqual(bool(right[row, STOP]), True)

    def test_unordered_loss_takes_any_right_entry(self):
        log_p = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
        loss = unordered_loss(log_p, torch.tensor([[False, True, False, True]]))
        torch.testing.assert_close(loss, torch.tensor([-math.log(0.6)]))

    def test_nothing_is_chosen_twice(self):
        net, x, q = head(), torch.randn(2, 5, 6), torch.randn(2, 3)
        net.stop.data.fill_(-9)
        chosen, _ = greedy(net, x, q, torch.ones(2, 5, dtype=torch.bool), most=9)
        self.assertTrue((chosen.sum(-1) <= 5).all())

    def test_a_beam_of_one_is_greedy_and_a_wider_one_no_worse(self):
        for seed in range(6):
            net = head(seed)
            x, q = torch.randn(7, 6), torch.randn(3)
            chosen, _ = greedy(net, x[None], q[None], torch.ones(1, 7, dtype=torch.bool), most=4)
            numbers, narrow = beam(net, x, q, width=1, most=4)
            self.assertEqual(sorted(numbers), chosen[0].nonzero()[:, 0].tolist())
            _, wide = beam(net, x, q, width=200, most=4)
            self.assertGreaterEqual(wide, narrow - 1e-6)


class Hulls(unittest.TestCase):
    def test_hull_and_its_measures(self):
        points = np.array([[0.5, 0.5], [1, 0], [0, 1], [0, 0], [1, 1]])
        self.assertEqual(hull(points), [1, 4, 2, 3])
        self.assertAlmostEqual(area(points[[1, 4, 2, 3]]), 1)
        self.assertTrue(is_simple(points[[1, 4, 2, 3]]))
        self.assertFalse(is_simple(points[[1, 2, 4, 3]]))


class Questions(unittest.TestCase):
    """What pointer_train makes of a question: two spans, of three units and one; the second unit and the last are right."""

    CASE = {"features": [[0.0, 1], [1, 0], [0, 0], [0.5, 0]], "query": [1.0], "units": [[0, 4, 0], [0, 6, 5], [0, 5, 0], [1, 2, 2]], "goldTokens": 8}

    def test_padding_and_what_is_right(self):
        case = prepared(self.CASE)
        self.assertEqual(case["gold"].tolist(), [False, True, False, True])
        x, _, valid, gold = collate([case, prepared(self.CASE | {"features": [[3.0, 4]], "units": [[0, 1, 1]]})])
        self.assertEqual(valid.tolist(), [[True] * 4, [True, False, False, False]])
        self.assertEqual(x[1, 1:].abs().sum().item(), 0)
        self.assertEqual(gold[1].tolist(), [True, False, False, False])

    def test_token_f1_of_the_lines_between_chosen_units(self):
        case = prepared(self.CASE)
        self.assertAlmostEqual(by_chosen(case, np.array([True, True, False, False]), 0), 2 * 5 / (10 + 8))
        self.assertEqual(by_chosen(case, np.array([True, True, False, False]), 1), 0)
        self.assertAlmostEqual(by_chosen(case, np.array([False, False, False, True]), 1), 2 * 2 / (2 + 8))

    def test_places_hold_what_their_units_hold(self):
        batch = [prepared(self.CASE), prepared(self.CASE | {"features": [[3.0, 4]], "units": [[0, 1, 1]]})]
        spans = spans_of(batch)
        self.assertEqual(spans.tolist(), [[0, 0, 0, 1], [0, -1, -1, -1]])
        torch.manual_seed(0)
        u = torch.randn(2, 5)
        scores, mask = places(u, spans)
        self.assertEqual(mask.tolist(), [[True, True, True], [True, True, False]])
        by_unit = log_probabilities(u, with_stop(spans >= 0)).exp()
        by_place = log_probabilities(scores, mask).exp()
        torch.testing.assert_close(by_place[0], torch.stack([by_unit[0, 0], by_unit[0, 1:4].sum(), by_unit[0, 4]]))
        torch.testing.assert_close(by_place[1], torch.stack([by_unit[1, 0], by_unit[1, 1], torch.tensor(0.0)]))

    def test_perturbed_places_are_worse_and_unperturbed_ones_the_same(self):
        batch = [prepared(self.CASE), prepared(self.CASE | {"units": [[0, 4, 0], [0, 6, 0], [0, 5, 0], [1, 2, 0]]})]
        torch.manual_seed(0)
        net, arrays, spans = PointerHead(f=2, q=1, d=8, layers=1, heads=2), collate(batch), spans_of(batch)
        plain = place_loss(net, arrays, spans, "at", 0.0)
        e, h = net.encode(*arrays[:3])
        scores, mask = places(net.pointer.scores(net.pointer.keys(e), h), spans)
        # The first question's both places are right, the second's is "none".
        right = torch.tensor([[False, True, True], [True, False, False]])
        torch.testing.assert_close(plain, unordered_loss(log_probabilities(scores, mask), right))
        self.assertTrue((place_loss(net, arrays, spans, "at", 0.5) > plain).all())
