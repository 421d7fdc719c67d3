"""Learning which heads need far tokens: the mixture is what it says, and learning finds the heads that do."""

import json
import shutil
import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from training.gates import NAME, Coded, Span, content_hash, files_of, hidden, learn, loss_of, main, rate, sample, streaming_mask

ROOT = Path(__file__).parents[3]
SPAN = Span(2, 5)
SHAPE = dict(vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8)


def model_of(kind, config, attention="mixed"):
    torch.manual_seed(1)
    model = kind(config(**SHAPE, attn_implementation=attention)).eval().requires_grad_(False)
    for layer in model.model.layers:
        # Random weights as they are made attend evenly, where nothing can be told apart.
        layer.self_attn.q_proj.weight *= 12
        layer.self_attn.k_proj.weight *= 12
        layer.self_attn.v_proj.weight *= 12
    return model


IDS = torch.tensor([[(i * i * 7 + 3 * i) % 40 for i in range(30)]])


class Mixture(unittest.TestCase):
    def test_all_attention_equals_the_library(self):
        for kind, config in ((LlamaForCausalLM, LlamaConfig), (Qwen3ForCausalLM, Qwen3Config)):
            theirs = hidden(model_of(kind, config, "eager"), IDS, None, SPAN)
            model = model_of(kind, config)
            for gates in (None, torch.ones(2, 2)):
                torch.testing.assert_close(hidden(model, IDS, gates, SPAN), theirs, atol=1e-5, rtol=1e-5)

    def test_closed_gates_see_sinks_and_window(self):
        model = model_of(LlamaForCausalLM, LlamaConfig, "eager")
        mask = torch.zeros(30, 30).masked_fill(~streaming_mask(30, 30, SPAN), -torch.inf)[None, None]
        expected = model.model(IDS, attention_mask=mask, use_cache=False).last_hidden_state
        mixed = hidden(model_of(LlamaForCausalLM, LlamaConfig), IDS, torch.zeros(2, 2), SPAN)
        torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=1e-5)
        self.assertGreater((expected - hidden(model_of(LlamaForCausalLM, LlamaConfig), IDS, None, SPAN)).abs().max(), 0.01)

    def test_short_texts_do_not_depend_on_gates(self):
        model = model_of(LlamaForCausalLM, LlamaConfig)
        short = IDS[:, :7]
        torch.testing.assert_close(hidden(model, short, torch.rand(2, 2), SPAN), hidden(model, short, None, SPAN), atol=1e-6, rtol=1e-6)

    def test_mask(self):
        seen = [key for key in range(12) if streaming_mask(1, 12, SPAN)[0, key]]
        self.assertEqual(seen, [0, 1, 7, 8, 9, 10, 11])
        self.assertTrue(torch.equal(streaming_mask(12, 12, SPAN)[-1:], streaming_mask(1, 12, SPAN)))
        self.assertEqual([key for key in range(12) if streaming_mask(1, 12, SPAN, 9)[0, key]], [9, 10, 11])
        self.assertTrue(torch.equal(streaming_mask(12, 12, SPAN, 9)[:9], streaming_mask(12, 12, SPAN)[:9]))

    def test_from_memory_the_tail_of_a_streaming_head_is_a_text_of_its_own(self):
        model = model_of(LlamaForCausalLM, LlamaConfig)
        closed = torch.zeros(2, 2)
        behind = hidden(model, IDS, closed, Span(30, 30), 20)[:, 20:]
        torch.testing.assert_close(behind, hidden(model, IDS[:, 20:], None, SPAN), atol=1e-5, rtol=1e-5)

    def test_open_gates_are_no_loss_and_its_gradient_is_right(self):
        model = model_of(LlamaForCausalLM, LlamaConfig).double()
        self.assertEqual(loss_of(model, torch.ones(2, 2).double(), IDS, 20, SPAN).item(), 0)
        gates = torch.tensor([[0.3, 0.9], [0.5, 0.1]]).double().requires_grad_(True)
        loss_of(model, gates, IDS, 20, SPAN).backward()
        for at in ((0, 0), (0, 1), (1, 0), (1, 1)):
            step = torch.zeros(2, 2).double()
            step[at] = 1e-3
            with torch.no_grad():
                slope = (loss_of(model, gates + step, IDS, 20, SPAN) - loss_of(model, gates - step, IDS, 20, SPAN)) / 2e-3
            self.assertAlmostEqual(gates.grad[at].item() / slope.item(), 1, places=2)


class Texts:
    """A stand-in for code: even ids are hay, odd ones are hidden in it."""

    def __init__(self):
        self.rng = np.random.default_rng(3)

    def hay(self, n):
        return (2 * self.rng.integers(20, size=n)).tolist()

    def needle(self):
        return (2 * self.rng.integers(20, size=4) + 1).tolist()


class Learning(unittest.TestCase):
    def test_the_tail_asks_for_what_was_hidden(self):
        ids, tail = sample(Texts(), np.random.default_rng(0), 100, 5)
        self.assertEqual(len(ids), 100)
        hidden_ids = [i for i in ids[:tail] if i % 2 == 1]
        self.assertEqual(ids[tail:], hidden_ids)
        self.assertEqual(len(hidden_ids), 20)

    def test_rate(self):
        self.assertEqual([rate(step, 100) for step in (0, 9, 19, 50, 80, 90, 99)], [0.1, 0.5, 1, 1, 1, 0.5, 0.1])

    def test_heads_that_nobody_needs_close_and_the_others_stay_open(self):
        model = model_of(LlamaForCausalLM, LlamaConfig)
        # Two heads whose values are nothing.
        for layer, head in ((0, 1), (1, 0)):
            model.model.layers[layer].self_attn.v_proj.weight[head * 8 : head * 8 + 8] = 0
        gates = learn(model, Texts(), np.random.default_rng(0), span=SPAN, lengths=(60, 80), n_steps=120, n_needles=4, weight=0.01, log=lambda _: None)
        self.assertEqual([gates[0, 1].item(), gates[1, 0].item()], [0, 0])
        self.assertGreater(min(gates[0, 0].item(), gates[1, 1].item()), 0.5)

    def test_a_checkpoint_with_a_tokenizer_is_asked_about_code_and_gets_its_gates(self):
        shipped = ROOT / "engine" / "models" / "default" / "tokenizer.json"
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = Tokenizer.from_file(str(shipped))
            LlamaForCausalLM(LlamaConfig(**{**SHAPE, "vocab_size": tokenizer.get_vocab_size()}, max_position_embeddings=256)).save_pretrained(folder)
            shutil.copy(shipped, folder)
            source = Coded(tokenizer, str(ROOT / "engine" / "training"), np.random.default_rng(0))
            ids, tail = sample(source, np.random.default_rng(0), 400, 2)
            text, asked = tokenizer.decode(ids[:tail]), tokenizer.decode(ids[tail:]).strip().split("\n\n")
            self.assertEqual(len(asked), 2)
            for line in asked:
                self.assertRegex(line, r'^const [A-Z]+_[A-Z]+_[A-Z]+ = "([a-z]+ ){5}[a-z]+";$')
                self.assertIn(line, text)
            options = ["--text", str(ROOT / "engine" / "training"), "--steps", "2", "--sinks", "4", "--window", "32", "--needles", "1"]
            with redirect_stdout(StringIO()):
                main([folder, *options])
            written = json.loads((Path(folder) / NAME).read_text())
            self.assertEqual(written["model"], content_hash(files_of(Path(folder))))
            self.assertEqual([len(layer) for layer in written["gates"]], [2, 2])
            self.assertTrue(all(0.9 < gate < 1 for layer in written["gates"] for gate in layer))

    def test_the_name_of_a_model_is_the_engine_s(self):
        folder = ROOT / "test" / "fixtures" / "models" / "llama"
        self.assertEqual(content_hash(files_of(folder)), "7cdf7bd15cb65b20112523a11a7d68f1cafbfb8fbd1404cb191ff2e83050d39a")


if __name__ == "__main__":
    unittest.main()
