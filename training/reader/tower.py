"""The vision side of the reader: a Pixtral tower, the 2x2 merger and the projector of LightOnOCR, batched.

Parameter names are those of transformers' `LightOnOcrModel` (`vision_encoder.*`, `vision_projection.*`). Pages of a
batch have one size and are grey; the three channels of the patch kernel see the same picture. Input is ink: a white
pixel is 0, a black one -2 (mean 1, deviation 0.5), so that white paper is a zero vector.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .language_model import WIDTH, Norm, rotate

PATCH, MERGE = 14, 2
CELL = PATCH * MERGE
IMAGE_MEAN, IMAGE_STD = 1.0, 0.5
VISION_THETA = 10000.0
EPS_PROJECTOR = 1e-5


@dataclass
class TowerConfig:
    width: int = 384
    inner: int = 1536
    layers: int = 6
    heads: int = 6

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


class TowerAttention(nn.Module):
    def __init__(self, config: TowerConfig):
        super().__init__()
        self.heads = config.heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(config.width, config.width, bias=False))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, patches, width = x.shape
        split = lambda t: t.view(batch, patches, self.heads, -1).transpose(1, 2)  # noqa: E731
        q, k = rotate(split(self.q_proj(x)), cos, sin), rotate(split(self.k_proj(x)), cos, sin)
        out = F.scaled_dot_product_attention(q, k, split(self.v_proj(x)))
        return self.o_proj(out.transpose(1, 2).reshape(batch, patches, width))


class TowerMlp(nn.Module):
    def __init__(self, config: TowerConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.inner, bias=False)
        self.up_proj = nn.Linear(config.width, config.inner, bias=False)
        self.down_proj = nn.Linear(config.inner, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class TowerLayer(nn.Module):
    def __init__(self, config: TowerConfig):
        super().__init__()
        self.attention_norm = Norm(config.width)
        self.feed_forward = TowerMlp(config)
        self.attention = TowerAttention(config)
        self.ffn_norm = Norm(config.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.ffn_norm(x))


class TowerLayers(nn.Module):
    def __init__(self, config: TowerConfig):
        super().__init__()
        self.layers = nn.ModuleList(TowerLayer(config) for _ in range(config.layers))


class VisionEncoder(nn.Module):
    def __init__(self, config: TowerConfig):
        super().__init__()
        self.patch_conv = nn.Conv2d(3, config.width, PATCH, PATCH, bias=False)
        self.ln_pre = Norm(config.width)
        self.transformer = TowerLayers(config)
        self.head = config.width // config.heads

    def rotary(self, rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """cos, sin [patches, head]: even frequencies turn with the row, odd ones with the column."""
        frequencies = VISION_THETA ** (-torch.arange(0, self.head, 2, device=device, dtype=torch.float32) / self.head)
        row = torch.arange(rows, device=device).float()[:, None] * frequencies[0::2]
        column = torch.arange(columns, device=device).float()[:, None] * frequencies[1::2]
        both = torch.cat((row[:, None].expand(-1, columns, -1), column[None].expand(rows, -1, -1)), -1).flatten(0, 1)
        angles = torch.cat((both, both), -1)
        return angles.cos(), angles.sin()

    def forward(self, ink: Tensor) -> Tensor:
        """ink [B, H, W], sides multiples of 28 -> [B, patches, width], patches in raster order"""
        kernel = self.patch_conv.weight.sum(1).flatten(1)
        rows, columns = ink.shape[1] // PATCH, ink.shape[2] // PATCH
        patches = ink.unflatten(2, (columns, PATCH)).unflatten(1, (rows, PATCH)).transpose(2, 3).flatten(3).flatten(1, 2)
        x = self.ln_pre(F.linear(patches, kernel.to(ink.dtype)))
        cos, sin = (t.to(x.dtype) for t in self.rotary(rows, columns, x.device))
        for layer in self.transformer.layers:
            x = layer(x, cos, sin)
        return x


class PatchMerger(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.merging_layer = nn.Linear(width * MERGE * MERGE, width, bias=False)

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """[B, rows * columns, width] -> [B, cells, width]; the four patches of a cell, channel by channel."""
        batch, _, width = x.shape
        x = x.view(batch, rows // 2, 2, columns // 2, 2, width).permute(0, 1, 3, 5, 2, 4)
        return self.merging_layer(x.reshape(batch, rows * columns // 4, width * 4))


class VisionProjection(nn.Module):
    def __init__(self, config: TowerConfig):
        super().__init__()
        self.norm = Norm(config.width)
        self.patch_merger = PatchMerger(config.width)
        self.linear_1 = nn.Linear(config.width, WIDTH, bias=False)
        self.linear_2 = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """-> visual tokens [B, cells, 576], and the merged cells [B, cells, width] for the character head"""
        merged = self.patch_merger(self.norm(x), rows, columns)
        return self.linear_2(F.gelu(self.linear_1(merged))), merged


QUIET = {"o_proj.weight": 0.5, "down_proj.weight": 0.5, "linear_2.weight": 0.1}


class Tower(nn.Module):
    def __init__(self, config: TowerConfig):
        super().__init__()
        self.config = config
        self.vision_encoder = VisionEncoder(config)
        self.vision_projection = VisionProjection(config)
        for name, p in self.named_parameters():
            if p.dim() >= 2:
                # What is added to a residual, and the output, start small.
                scale = next((s for end, s in QUIET.items() if name.endswith(end)), 1.0)
                nn.init.normal_(p, std=scale * p[0].numel() ** -0.5)

    def forward(self, pages: Tensor) -> tuple[Tensor, Tensor]:
        """grey pages [B, H, W] uint8 -> visual tokens [B, cells, 576], merged cells [B, cells, width]"""
        ink = (pages.to(self.vision_encoder.ln_pre.weight.dtype) / 255 - IMAGE_MEAN) / IMAGE_STD
        if torch.is_autocast_enabled(pages.device.type):
            ink = ink.to(torch.get_autocast_dtype(pages.device.type))
        x = self.vision_encoder(ink)
        return self.vision_projection(x, pages.shape[1] // PATCH, pages.shape[2] // PATCH)


class CharacterHead(nn.Module):
    """Names the characters that begin in a cell: by text row of the cell and place in the row (the legibility probe)."""

    ROWS, PLACES = 4, 8
    # 0: nothing there; 1: a character that is not in the list
    CHARACTERS = [chr(c) for c in range(32, 127)]

    def __init__(self, config: TowerConfig):
        super().__init__()
        self.norm = Norm(config.width)
        self.classes = len(self.CHARACTERS) + 2
        self.slots = nn.Linear(config.width, self.ROWS * self.PLACES * self.classes)

    def forward(self, merged: Tensor) -> Tensor:
        """[..., width] -> [..., rows * places, classes]"""
        return self.slots(self.norm(merged)).unflatten(-1, (self.ROWS * self.PLACES, self.classes))
