"""`PYTHONPATH=engine python -m unittest discover test/unit/training`: the forms of the model that must be equal."""

import dataclasses
import unittest

import torch

from training.config import CONFIGS
from training.lightning import chunked, decay_table, quadratic, recurrent
from training.model import Memory, Model, State, causal_conv
from training.objective import copy_loss

CONFIG = dataclasses.replace(CONFIGS["tiny"], vocab_size=128, hidden_size=32, ffn_size=48, n_heads=2, gate_rank=8, window=40)


def randomised(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    model = Model(CONFIG).eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return model


class LightningForms(unittest.TestCase):
    def test_three_forms_and_any_chunk(self):
        torch.manual_seed(0)
        s = decay_table(4, 1, 6).double()
        for n in (1, 63, 64, 65, 200):
            q, k, v = torch.randn(3, 2, 4, n, 16, dtype=torch.float64)
            expected, state = recurrent(q, k, v, s)
            torch.testing.assert_close(quadratic(q, k, v, s), expected, rtol=0, atol=1e-11)
            for chunk in (1, 16, 64):
                out, end = chunked(q, k, v, s, chunk)
                torch.testing.assert_close(out, expected, rtol=0, atol=1e-11)
                torch.testing.assert_close(end, state, rtol=0, atol=1e-11)

    def test_state_carries_over_any_cut(self):
        torch.manual_seed(1)
        s = decay_table(4, 0, 6).double()
        q, k, v = torch.randn(3, 1, 4, 150, 16, dtype=torch.float64)
        whole, end = chunked(q, k, v, s)
        for cut in (1, 64, 70):
            a, state = chunked(q[:, :, :cut], k[:, :, :cut], v[:, :, :cut], s)
            b, state = chunked(q[:, :, cut:], k[:, :, cut:], v[:, :, cut:], s, state=state)
            torch.testing.assert_close(torch.cat([a, b], 2), whole, rtol=0, atol=1e-11)
            torch.testing.assert_close(state, end, rtol=0, atol=1e-11)

    def test_decay_half_lives(self):
        half_lives = torch.log(torch.tensor(2.0)) / decay_table(4, 0, 12)
        torch.testing.assert_close(half_lives, torch.tensor([2.7726, 11.0904, 44.3614, 177.4457]), rtol=1e-4, atol=0)

    def test_extreme_decay_keeps_only_the_newest_token(self):
        q, k, v = torch.randn(3, 1, 1, 70, 8, dtype=torch.float64)
        out, _ = chunked(q, k, v, torch.tensor([700.0], dtype=torch.float64))
        torch.testing.assert_close(out, (q * k).sum(-1, keepdim=True) * v)


class WholeModel(unittest.TestCase):
    def test_streamed_convolution_is_the_batch_convolution(self):
        p, taps = torch.randn(1, 50, 6), torch.randn(6, 3)
        whole, _ = causal_conv(p, taps)
        for cut in (1, 2, 30):
            a, tail = causal_conv(p[:, :cut], taps)
            b, _ = causal_conv(p[:, cut:], taps, tail)
            torch.testing.assert_close(torch.cat([a, b], 1), whole)

    def test_split_calls_equal_one_call(self):
        model, ids = randomised(), torch.randint(128, (2, 130))
        memory = Memory(torch.randn(2, 30, 16), torch.randn(2, 30, 16), torch.randint(-1, 5, (2, 30)))
        with torch.no_grad():
            for m in (None, memory):
                whole = model(ids, m)
                state = State()
                parts = [model(ids[:, a:b], m, state) for a, b in ((0, 1), (1, 71), (71, 72), (72, 130))]
                torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)

    def test_causal(self):
        model, ids = randomised(), torch.randint(128, (1, 100))
        changed = ids.clone()
        changed[0, 60] = (changed[0, 60] + 1) % 128
        with torch.no_grad():
            a, b = model(ids), model(changed)
        torch.testing.assert_close(a[:, :60], b[:, :60], rtol=0, atol=0)
        self.assertGreater(float((a[:, 60:] - b[:, 60:]).abs().max()), 1e-3)

    def test_stored_memory_is_what_the_layer_attends_to(self):
        model, ids = randomised(), torch.randint(128, (1, 64))
        with torch.no_grad():
            h, _ = model.below(ids)
            keys, values = model.memory_of(h)
            _, shown = model.above(h, None)
        for mine, layers in ((keys, shown.keys), (values, shown.values)):
            torch.testing.assert_close(mine, layers)

    def test_hidden_memory_changes_nothing(self):
        model, ids = randomised(), torch.randint(128, (1, 64))
        hidden = Memory(torch.randn(1, 9, 16), torch.randn(1, 9, 16), torch.full((1, 9), -1))
        with torch.no_grad():
            torch.testing.assert_close(model(ids, hidden), model(ids), rtol=1e-5, atol=1e-5)


class CopyLoss(unittest.TestCase):
    def test_is_the_attention_to_the_source(self):
        """With every token of the group in memory: minus the logarithm of the memory layer's own attention, the mean over heads."""
        model = randomised()
        ids = torch.randint(64, 128, (8, 64), generator=torch.Generator().manual_seed(4))
        h, _ = model.below(ids)
        keys, values = model.memory_of(h)
        flat = [x.reshape(1, 8 * 64, -1).expand(8, -1, -1) for x in (keys, values)]
        classes = torch.arange(8)[:, None].repeat(1, 64).reshape(1, -1).expand(8, -1) % 5
        _, shown = model.above(h, Memory(*flat, classes))
        copies = torch.tensor([[[2, 40, 5, 7, 0], [0, 63, 3, 0, 3], [-1] * 5]])
        loss = copy_loss(model, shown, keys[None], copies)
        masses = torch.stack([shown.memory_mass[2, 40, 5 * 64 + 7], shown.memory_mass[0, 63, 3 * 64]])
        torch.testing.assert_close(loss, -masses.log().mean(), rtol=1e-5, atol=1e-5)
        self.assertEqual(float(copy_loss(model, shown, keys[None], torch.full((1, 3, 5), -1))), 0)



if __name__ == "__main__":
    unittest.main()
