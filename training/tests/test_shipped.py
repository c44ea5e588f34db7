import json
import tempfile
import unittest
from pathlib import Path

import torch
from safetensors.torch import save_file

from reader.language_model import Projection, int4
from reader.shipped import floats, read_shipped


class ShippedTest(unittest.TestCase):
    def test_codes_of_four_bits(self):
        # Two codes to a byte, the first in the low half; 8 stands for zero.
        codes = torch.tensor([[[0x98] + [0x88] * 15]], dtype=torch.uint8)
        values = floats(codes, torch.tensor([[0.5]], dtype=torch.float16), 4)
        self.assertEqual(values.shape, (1, 32))
        self.assertEqual(values[0, :3].tolist(), [0.0, 0.5, 0.0])

    def test_reads_both_sides(self):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            block = {"int4": torch.full((2, 1, 16), 0x99, dtype=torch.uint8), "scales": torch.ones(2, 1).half()}
            tensors = {f"model.language_model.layers.0.mlp.up_proj.weight.{k}": v for k, v in block.items()}
            tensors["model.language_model.embed_tokens.weight"] = torch.zeros(4, 32).half()
            tensors["model.vision_encoder.ln_pre.weight"] = torch.ones(384).half()
            save_file(tensors, folder / "model.safetensors")
            vision = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 6}
            (folder / "config.json").write_text(json.dumps({"vision_config": vision}))
            state = read_shipped(folder)
        self.assertEqual(list(state["model"]), ["layers.0.mlp.up_proj.weight"])
        self.assertTrue(torch.equal(state["model"]["layers.0.mlp.up_proj.weight"], torch.ones(2, 32)))
        self.assertEqual(list(state["tower"]), ["vision_encoder.ln_pre.weight"])
        self.assertEqual(state["config"]["layers"], 6)

    def test_int4_weights_are_computed_with_and_float_ones_learn(self):
        torch.manual_seed(1)
        layer = Projection(32, 4)
        x = torch.randn(3, 32)
        layer.hold(torch.float32)
        self.assertTrue(torch.equal(layer(x), x @ int4(layer.weight.detach()).T))
        layer(x).sum().backward()
        self.assertTrue(torch.allclose(layer.weight.grad, x.sum(0).expand(4, 32), atol=1e-6))


if __name__ == "__main__":
    unittest.main()
