"""An exported reader back as this project's PyTorch model."""

import json
from pathlib import Path

from safetensors.torch import load_file

from model import Glm4v, ReaderConfig


def load_reader(folder: Path) -> Glm4v:
    raw = json.loads((folder / "config.json").read_text())
    text, vision, rope = raw["text_config"], raw["vision_config"], raw["text_config"]["rope_parameters"]
    config = ReaderConfig(
        vocab_size=text["vocab_size"],
        hidden_size=text["hidden_size"],
        intermediate_size=text["intermediate_size"],
        num_hidden_layers=text["num_hidden_layers"],
        num_attention_heads=text["num_attention_heads"],
        max_position_embeddings=text["max_position_embeddings"],
        rope_theta=rope["rope_theta"],
        partial_rotary_factor=rope["partial_rotary_factor"],
        mrope_section=rope["mrope_section"],
        rms_norm_eps=text["rms_norm_eps"],
        vision_depth=vision["depth"],
        vision_hidden_size=vision["hidden_size"],
        vision_heads=vision["num_heads"],
        vision_intermediate_size=vision["intermediate_size"],
        image_size=vision["image_size"],
    )
    model = Glm4v(config)
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=True)
    return model
