"""The query of a question in words, fitted alone."""

import unittest

import torch
import torch.nn.functional as F

from training import route_head


class Fitting(unittest.TestCase):
    def setUp(self):
        """Landmarks that a hidden query finds; the fitted one starts elsewhere."""
        torch.manual_seed(0)
        self.asked, self.hidden, self.start = torch.randn(1000, 24), torch.randn(8, 24), 0.1 * torch.randn(8, 24)
        noise = 0.1 * torch.randn(1000, 8)
        self.landmarks = F.normalize(F.normalize(self.asked @ self.hidden.T, dim=-1) + noise, dim=-1)
        self.steps, route_head.STEPS = route_head.STEPS, 200

    def tearDown(self):
        route_head.STEPS = self.steps

    def test_finds_what_it_started_far_from(self):
        before = route_head.quality(self.start, self.asked, self.landmarks)
        for mode in (None, "at"):
            fitted = route_head.fit(self.start, self.asked, self.landmarks, mode)
            after = route_head.quality(fitted, self.asked, self.landmarks)
            self.assertLess(before["right first"], 0.05)
            self.assertGreater(after["right first"], 0.5, mode)

    def test_quality_of_certain_and_of_equal_scores(self):
        apart = F.normalize(torch.eye(route_head.CANDIDATES))
        found = route_head.quality(torch.eye(route_head.CANDIDATES), apart, apart)
        self.assertEqual(found, {"right first": 1.0, "MRR": 1.0, "turned": 0.0})
        same = torch.ones(route_head.CANDIDATES, 4) / 2
        found = route_head.quality(torch.eye(4), same, same)
        self.assertEqual(found["turned"], 1.0)
        self.assertLess(found["MRR"], 0.01)


if __name__ == "__main__":
    unittest.main()
