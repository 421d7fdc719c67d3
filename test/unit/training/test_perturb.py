"""Perturbation of scores: the equations, and that nothing leaks out of making it."""

import math
import unittest

import torch
import torch.nn.functional as F

from training.perturb import adversarial, perturb, spread, stability, swap_distance

WEIGHTS = torch.randn(9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def loss(a: torch.Tensor) -> torch.Tensor:
    """A loss behind a softmax. a [B, 9] -> [B]."""
    return F.softplus((torch.softmax(a, -1) * WEIGHTS.to(a.dtype)).sum(-1) * 3)


def gradient(a: torch.Tensor) -> torch.Tensor:
    at = a.clone().requires_grad_()
    return torch.autograd.grad(loss(at).sum(), at)[0]


class Directions(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.a, self.mask = torch.randn(4, 9), torch.ones(4, 9, dtype=torch.bool)

    def test_length_and_padding(self):
        self.mask[:, 6:] = False
        g = torch.randn(4, 9)
        for mode in ("at", "iat", "random"):
            r = perturb(g, self.a, self.mask, mode)
            self.assertTrue((r[:, 6:] == 0).all())
        for mode in ("at", "random"):
            torch.testing.assert_close(perturb(g, self.a, self.mask, mode).norm(dim=-1), torch.ones(4))
        for mode in ("at", "iat"):
            one_by_one = torch.cat([perturb(g[i : i + 1, :6], self.a[i : i + 1, :6], self.mask[i : i + 1, :6], mode) for i in range(4)])
            torch.testing.assert_close(perturb(g, self.a, self.mask, mode)[:, :6], one_by_one)

    def test_closed_form_of_score_differences(self):
        """The gradient in the coefficients c of r_t = sum_k c_tk d_tk, taken by autograd, gives the closed form."""
        a, g = self.a[0].double(), gradient(self.a[:1].double())[0]
        d = a[:, None] - a[None, :]
        for normalised, mode in ((d / d.norm(dim=1, keepdim=True), "at"), (d / d.norm(), "iat")):
            c = torch.zeros(9, 9, dtype=torch.float64, requires_grad=True)
            (g_c,) = torch.autograd.grad(loss((a + (c * normalised).sum(1))[None]).sum(), c)
            r = (g_c / g_c.norm() * normalised).sum(1)
            ours = perturb(g[None], a[None], self.mask[:1], mode)[0].double()
            torch.testing.assert_close(F.normalize(ours, dim=0), F.normalize(r, dim=0), rtol=1e-5, atol=1e-5)
        at, iat = (perturb(g[None], a[None], self.mask[:1], mode) for mode in ("at", "iat"))
        self.assertLess(float(F.cosine_similarity(at, iat)), 0.999)

    def test_raises_the_loss_by_the_gradients_length(self):
        a = self.a.double()
        g, e = gradient(a), 1e-4
        r = perturb(g, a, self.mask, "at").double()
        gain = loss(a + e * r) - loss(a)
        self.assertTrue((gain > 0).all())
        torch.testing.assert_close(gain / e, g.norm(dim=-1), rtol=1e-3, atol=0)
        self.assertTrue((loss(a + e * perturb(g, a, self.mask, "iat").double()) > loss(a)).all())

    def test_a_constant_added_to_all_scores_changes_nothing(self):
        for mode in ("at", "iat"):
            r = perturb(gradient(self.a), self.a, self.mask, mode)
            torch.testing.assert_close(perturb(gradient(self.a + 5), self.a + 5, self.mask, mode), r, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(perturb(gradient(self.a), self.a, self.mask, "at").sum(-1), torch.zeros(4), rtol=0, atol=1e-5)

    def test_saturated_samples_are_left_alone(self):
        self.assertTrue((perturb(torch.full((4, 9), 1e-9), self.a, self.mask, "at") == 0).all())


class Training(unittest.TestCase):
    def gradients(self, epsilon: float, weight: float, detached: bool = False) -> list[torch.Tensor]:
        torch.manual_seed(1)
        score, x = torch.nn.Linear(5, 9), torch.randn(4, 5)
        output = torch.nn.Parameter(torch.randn(9))

        def of(a):
            return F.softplus((torch.softmax(a, -1) * output).sum(-1))

        a, mask = score(x), torch.ones(4, 9, dtype=torch.bool)
        if detached:
            at = a.detach().requires_grad_()
            (g,) = torch.autograd.grad(of(at).sum(), at)
            total = of(a) + weight * of(a + (epsilon * perturb(g, a, mask, "at")).detach())
        else:
            total = adversarial(of, a, mask, "at", epsilon, weight)
        total.mean().backward()
        return [score.weight.grad, output.grad]

    def test_special_cases_and_no_gradient_through_the_perturbation(self):
        plain = self.gradients(1.0, 0.0)
        for ours, expected in zip(self.gradients(0.0, 1.0), plain):
            torch.testing.assert_close(ours, 2 * expected)
        for ours, expected in zip(self.gradients(0.7, 1.0), self.gradients(0.7, 1.0, detached=True)):
            torch.testing.assert_close(ours, expected)


class Stability(unittest.TestCase):
    def test_swap_distance_is_exact(self):
        u, mask = torch.tensor([[3.0, 1.0, -2.0, 99.0]]), torch.tensor([[True, True, True, False]])
        rho = float(swap_distance(u, mask)[0])
        self.assertAlmostEqual(rho, 2**0.5, places=6)
        direction = torch.tensor([-1.0, 1.0, 0.0, 0.0]) / 2**0.5
        self.assertEqual(int((u[0] + 0.999 * rho * direction)[:3].argmax()), 0)
        self.assertEqual(int((u[0] + 1.001 * rho * direction)[:3].argmax()), 1)
        for _ in range(200):
            r = F.normalize(torch.randn(3), dim=0) * rho * 0.999
            self.assertEqual(int((u[0, :3] + r).argmax()), 0)

    def test_relative_to_the_spread(self):
        u, mask = torch.tensor([[3.0, 1.0, -1.0, 99.0]]), torch.tensor([[True, True, True, False]])
        self.assertAlmostEqual(float(spread(u, mask)), math.sqrt(8 / 3), places=5)
        self.assertAlmostEqual(float(stability(u, mask)), math.sqrt(2) / math.sqrt(8 / 3), places=5)
        torch.testing.assert_close(stability(u * 7, mask), stability(u, mask))
