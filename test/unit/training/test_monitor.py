"""The monitor's measures on cases whose answer is known."""

import dataclasses
import unittest

import numpy as np
import torch

from training.config import CONFIGS
from training.model import Model, srms
from training.monitor import attention, distinctness, lifts

CONFIG = dataclasses.replace(CONFIGS["tiny"], vocab_size=64, hidden_size=32, ffn_size=48, n_heads=2, gate_rank=8, window=40)


class Measures(unittest.TestCase):
    def test_a_token_that_decides_what_comes_next_is_distinct(self):
        totals = np.array([1000.0, 1000.0])
        d = distinctness(np.array([[1000.0, 500.0], [0.0, 500.0]]), totals)
        self.assertGreater(d[0], 0.98)
        self.assertAlmostEqual(d[1], 0, places=6)

    def test_even_attention_lifts_nothing(self):
        classes = torch.randint(-1, 2, (2, 9, 9))
        for lift in lifts(torch.full((2, 3, 9, 9), 1 / 9), classes):
            np.testing.assert_allclose(lift, 1, rtol=1e-5)
        only = (classes == 1).float()[:, None].expand(2, 3, 9, 9)
        distinct, common = lifts(only, classes)
        self.assertGreater(distinct[0], 1)
        self.assertEqual(common[0], 0)

    def test_attention_is_the_model_s_own(self):
        """Weights times values, with the layer's output projection, is what the layer gives."""
        torch.manual_seed(0)
        model, ids = Model(CONFIG).eval(), torch.randint(64, (2, 60))
        for p in model.parameters():
            p.data += 0.1 * torch.randn_like(p)
        with torch.no_grad():
            weights = attention(model, ids)
            layer = CONFIG.memory_layer
            w, sink = weights[layer]
            torch.testing.assert_close(w.sum(-1) + sink, torch.ones_like(sink))
            h, _ = model.below(ids)
            mixer = model.blk[layer].mixer
            _, values = model.memory_of(h)
            expected, _ = mixer(srms(h, CONFIG.norm_eps), None, None)
            out = (w @ values[:, None]).transpose(1, 2).reshape(2, 60, -1)
            torch.testing.assert_close(torch.nn.functional.linear(out, mixer.attn_output), expected, rtol=1e-4, atol=1e-4)
