"""The memory of a workspace: what must hold exactly whatever its weights are."""

import unittest

import torch
import torch.nn.functional as F

from training.workspace import CHUNK, WorkspaceMemory, lacks, mixed

D, M, V = 12, 5, 30


def memory(seed: int = 0) -> WorkspaceMemory:
    torch.manual_seed(seed)
    made = WorkspaceMemory(D, M).double()
    for layer in (made.rate, made.gate):
        torch.nn.init.normal_(layer.weight)
    return made


def text(n: int = 150) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, D, dtype=torch.float64), torch.randint(V, (n,)), torch.randn(V, D, dtype=torch.float64)


class Memory(unittest.TestCase):
    def test_an_empty_one_adds_nothing(self):
        x, _, _ = text()
        self.assertTrue((memory().read(torch.zeros(1, M, M, dtype=torch.float64), x[None]) == 0).all())

    def test_a_lack_is_the_downhill_direction_of_the_hidden_vector(self):
        x, following, embedding = text()
        x.requires_grad_()
        F.cross_entropy(x @ embedding.T, following, reduction="sum").backward()
        torch.testing.assert_close(lacks(x.detach(), following, embedding), -x.grad)

    def test_steps_are_always_stable(self):
        made = memory()
        made.rate.bias.data.copy_(torch.tensor([50.0, 50.0, -50.0]))
        x, _, _ = text()
        theta, eta, _ = made.rates(10 * x)
        self.assertTrue((theta * CHUNK <= 1 - eta + 1e-12).all())

    def test_files_one_after_another_are_one_text_where_chunks_meet(self):
        made, (x, following, embedding) = memory(), text()
        lack = lacks(x, following, embedding)
        half = made.learn(x[None, :CHUNK], lack[None, :CHUNK])
        apart, together = made.learn(x[None, CHUNK:], lack[None, CHUNK:], half), made.learn(x[None], lack[None])
        torch.testing.assert_close(apart.matrix, together.matrix, rtol=0, atol=1e-12)

    def test_training_reaches_every_weight(self):
        made, (x, following, embedding) = memory(), text()
        read = made.read(made.learn(x[None], lacks(x, following, embedding)[None]).matrix, x[None])[0]
        F.cross_entropy((x + read) @ embedding.T, following).backward()
        for name, parameter in made.named_parameters():
            self.assertGreater(float(parameter.grad.abs().max()), 0, name)


class Mixing(unittest.TestCase):
    def test_is_a_distribution_and_follows_what_does_better(self):
        torch.manual_seed(2)
        a, b = (torch.log_softmax(torch.randn(80, V, dtype=torch.float64), -1) for _ in range(2))
        came = torch.randint(V, (80,))
        picked = [p.gather(1, came[:, None])[:, 0] for p in (a, b)]
        # At any place the mixtures of all tokens that might have come add up to 1.
        at, total = 79, 0.0
        for token in range(V):
            tried = [torch.cat([p[:at], q[at : at + 1, token]]) for p, q in zip(picked, (a, b))]
            total += float(mixed(*tried)[at].exp())
        self.assertAlmostEqual(total, 1.0, places=10)
        bad = torch.full((200,), -3.0)
        self.assertLess(float((torch.full((200,), -1.0) - mixed(torch.full((200,), -1.0), bad)).sum()), 3)
        self.assertGreater(float(mixed(bad, torch.full((200,), -1.0)).sum()), -206)
