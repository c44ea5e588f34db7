"""A state to start from, out of a folder that ships (`models/reader`): its int4 and int8 weights as floats.

The quantised form is that of `src/vlm/weights/stored-weight.ts`: for a weight `NAME`, `NAME.int4` or `NAME.int8` in
uint8 [N, K / 32, 16 or 32], the first of two codes in the low half, and `NAME.scales` in fp16 [N, K / 32].
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from .tower import TowerConfig

LANGUAGE, VISION = "model.language_model.", "model."


def floats(codes: Tensor, scales: Tensor, bits: int) -> Tensor:
    """[N, groups, bytes] and [N, groups] -> [N, K] fp32"""
    if bits == 4:
        codes = torch.stack((codes & 15, codes >> 4), -1).flatten(-2)
    return ((codes.float() - 2 ** (bits - 1)) * scales.float()[..., None]).flatten(1)


def read_shipped(folder: Path) -> dict:
    """A state as `train_language` writes it, without optimizer and without the packing's maps: {model, tower, config}."""
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
    weights: dict[str, Tensor] = {}
    for key, value in tensors.items():
        name, _, kind = key.rpartition(".")
        if kind in ("int4", "int8"):
            weights[name] = floats(value, tensors[f"{name}.scales"], int(kind[3:]))
        elif kind == "weight":
            weights[key] = value.float()
    model = {n.removeprefix(LANGUAGE): w for n, w in weights.items() if n.startswith(LANGUAGE)}
    model.pop("embed_tokens.weight")
    tower = {n.removeprefix(VISION): w for n, w in weights.items() if not n.startswith(LANGUAGE)}
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    config = TowerConfig(vision["hidden_size"], vision["intermediate_size"], vision["num_hidden_layers"], vision["num_attention_heads"])
    return {"model": model, "tower": tower, "config": config.to_dict()}


def load_state(path: Path) -> dict:
    """A state file, or a folder that ships."""
    return read_shipped(path) if path.is_dir() else torch.load(path, map_location="cpu", weights_only=True)
