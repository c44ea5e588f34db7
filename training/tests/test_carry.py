import unittest

import torch

from reader.carry import dequantise, pack, quantise, unpack
from reader.language_model import int4


class CarryTest(unittest.TestCase):
    def test_rounding_is_within_half_a_step(self):
        torch.manual_seed(0)
        for bits in (4, 8):
            x = torch.randn(6, 64)
            back = dequantise(quantise(x, bits), [6, 64], bits)
            step = x.reshape(-1, 32).abs().amax(-1) / (2 ** (bits - 1) - 1)
            self.assertTrue(((x - back).reshape(-1, 32).abs().amax(-1) <= 0.51 * step).all())

    def test_weights_of_int4_come_back_as_they_were_computed_with(self):
        torch.manual_seed(0)
        weight = torch.randn(8, 64)
        state = {"model": {"layers.0.w": weight}}
        back = unpack(pack(state, {"model.layers.0.w": torch.randn(8, 64)}, ("model",), whole=True), {})
        self.assertTrue(torch.equal(back["model"]["layers.0.w"], int4(weight)))
        self.assertTrue(torch.equal(int4(int4(weight)), int4(weight)))

    def test_a_state_comes_back(self):
        torch.manual_seed(0)
        base = {"model.layers.0.w": torch.randn(64, 64)}
        state = {
            "model": {"layers.0.w": base["model.layers.0.w"] + 0.01 * torch.randn(64, 64), "norm": torch.randn(64)},
            "tower": {"w": torch.randn(32, 32)},
            "config": {"width": 384},
            "step": 7,
        }
        back = unpack(pack(state, base), base)
        self.assertEqual((back["step"], back["config"]), (7, {"width": 384}))
        self.assertTrue(torch.equal(back["model"]["norm"], state["model"]["norm"]))
        # The difference is rounded, not the weight: off by a fifteenth of 0.03 at most.
        self.assertLess((back["model"]["layers.0.w"] - state["model"]["layers.0.w"]).abs().max(), 0.004)
        self.assertLess((back["tower"]["w"] - state["tower"]["w"]).abs().max(), 0.02)


if __name__ == "__main__":
    unittest.main()
