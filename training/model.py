"""A compact GLM-4V in plain PyTorch, batched, with Hugging Face's parameter names.

`state_dict()` loads strictly into `transformers.Glm4vForConditionalGeneration`; check_parity.py shows
that both give the same logits. Pages are batched (all of one size), a page is one grey image.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH, MERGE, CHANNELS, FRAMES = 14, 2, 3, 2
CELL = PATCH * MERGE
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass
class ReaderConfig:
    vocab_size: int = 272
    hidden_size: int = 384
    intermediate_size: int = 544
    num_hidden_layers: int = 4
    num_attention_heads: int = 8
    max_position_embeddings: int = 32768
    # Columns and rows of cells turn by 0.21 and 0.46: no two cells of a page look alike to a neighbour's head.
    rope_theta: float = 10.3
    # int(48 * 0.13) = 6 rotated dimensions of a head of 48
    partial_rotary_factor: float = 0.13
    mrope_section: list[int] = field(default_factory=lambda: [1, 1, 1])
    rms_norm_eps: float = 1e-5
    vision_depth: int = 3
    vision_hidden_size: int = 128
    vision_heads: int = 4
    vision_intermediate_size: int = 2048
    image_size: int = 336

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def rotary_dim(self) -> int:
        return int(self.head_dim * self.partial_rotary_factor)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.eps)


# ---------------------------------------------------------------- vision


class PatchEmbed(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Conv3d(CHANNELS, width, (FRAMES, PATCH, PATCH), (FRAMES, PATCH, PATCH))

    def forward(self, grey: Tensor) -> Tensor:
        """grey [..., 196] in 0..1. The colours and frames of a still grey page fold into one kernel."""
        weight, bias = self.proj.weight, self.proj.bias
        mean = torch.tensor(CLIP_MEAN, device=weight.device)
        std = torch.tensor(CLIP_STD, device=weight.device)
        kernel = weight.sum(2)  # [C, 3, 14, 14]
        folded = (kernel / std[:, None, None]).sum(1).flatten(1)
        shift = bias - (kernel.sum((2, 3)) * (mean / std)).sum(1)
        # Ink instead of light: most of a page is white, and zeros train better.
        return F.linear(1 - grey, -folded, shift + folded.sum(1))


class VisionMlp(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class VisionAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, rows, width = x.shape
        q, k, v = self.qkv(x).view(batch, rows, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate_halves(q, cos, sin), rotate_halves(k, cos, sin)
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(batch, rows, width))


class VisionBlock(nn.Module):
    def __init__(self, config: ReaderConfig):
        super().__init__()
        width = config.vision_hidden_size
        self.norm1 = RMSNorm(width, config.rms_norm_eps)
        self.norm2 = RMSNorm(width, config.rms_norm_eps)
        self.attn = VisionAttention(width, config.vision_heads)
        self.mlp = VisionMlp(width, config.hidden_size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class PatchMerger(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.proj = nn.Linear(width, width, bias=False)
        self.post_projection_norm = nn.LayerNorm(width)
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.post_projection_norm(self.proj(x)))
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Positions2d(nn.Module):
    """The learned table. It stays zero: rotary carries the position, and pages of any size read alike."""

    def __init__(self, config: ReaderConfig):
        super().__init__()
        side = config.image_size // PATCH
        self.position_embedding = nn.Embedding(side * side, config.vision_hidden_size)
        nn.init.zeros_(self.position_embedding.weight)
        self.position_embedding.weight.requires_grad_(False)


class VisionTower(nn.Module):
    def __init__(self, config: ReaderConfig):
        super().__init__()
        width = config.vision_hidden_size
        self.config = config
        self.patch_embed = PatchEmbed(width)
        self.embeddings = Positions2d(config)
        self.post_conv_layernorm = RMSNorm(width, config.rms_norm_eps)
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.vision_depth))
        self.post_layernorm = RMSNorm(width, config.rms_norm_eps)
        self.downsample = nn.Conv2d(width, config.hidden_size, MERGE, MERGE)
        self.merger = PatchMerger(config.hidden_size, config.vision_intermediate_size)
        self.rope_cache: dict = {}

    def rotary(self, rows: int, cols: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """cos and sin [patches, head_dim] in merge order, for a page of rows × cols cells."""
        key = (rows, cols, device)
        if key not in self.rope_cache:
            half = self.config.vision_hidden_size // self.config.vision_heads // 2
            inv_freq = 1.0 / (10000.0 ** (torch.arange(0, half, 2, dtype=torch.float32) / half))
            y = torch.arange(rows * MERGE).view(rows, 1, MERGE, 1).expand(rows, cols, MERGE, MERGE).reshape(-1)
            x = torch.arange(cols * MERGE).view(1, cols, 1, MERGE).expand(rows, cols, MERGE, MERGE).reshape(-1)
            angles = torch.cat([y[:, None] * inv_freq, x[:, None] * inv_freq], -1)
            angles = torch.cat([angles, angles], -1).to(device)
            self.rope_cache[key] = (angles.cos(), angles.sin())
        return self.rope_cache[key]

    def set_neighbour_heads(self, strength: float = 8.0, constant: float = 30.0) -> None:
        """Start each head as a look at one neighbouring patch.

        Attention in the tower has no bias, so one hidden dimension is made a constant: the queries and
        keys that it gives, turned by the rotary positions, peak at the neighbour.
        score(dx, dy) = Σ_f a · cos(f · (dx − x)) + a · cos(f · (dy − y)) over the three fastest frequencies.
        """
        near = [(-1, 0), (1, 0), (0, -1), (0, 1)]
        before = [(-1, 0), (-2, 0), (-3, 0), (-4, 0)]
        width, heads = self.config.vision_hidden_size, self.config.vision_heads
        dims = width // heads
        half, quarter = dims // 2, dims // 4
        inv_freq = 1.0 / (10000.0 ** (torch.arange(0, half, 2, dtype=torch.float32) / half))
        ink = (self.patch_embed.proj.weight.shape[0] / (width + constant**2)) ** 0.5
        with torch.no_grad():
            self.patch_embed.proj.weight[0] = 0
            self.patch_embed.proj.bias[0] = constant
            self.post_conv_layernorm.weight.fill_(1 / ink)
            self.post_conv_layernorm.weight[0] = 1
            seen = width**0.5  # what the constant is after the first norm
            level = seen / ((seen**2 + width) / width) ** 0.5
            size = (strength * dims**0.5) ** 0.5 / level
            for index, block in enumerate(self.blocks):
                offsets = near if index < len(self.blocks) - 1 else before
                weight = block.attn.qkv.weight.view(3, heads, dims, width)
                weight[:2] *= 0.3
                weight[:, :, :, 0] = 0
                for linear in (block.mlp.gate_proj, block.mlp.up_proj):
                    linear.weight[:, 0] = 0
                for linear in (block.mlp.down_proj, block.attn.proj):
                    linear.weight[0] = 0
                for head in range(heads):
                    x, y = offsets[head % 4]
                    for axis, offset in ((0, y), (1, x)):
                        for f in range(3):
                            first = axis * quarter + f
                            angle = -inv_freq[f] * offset
                            weight[0, head, first, 0] = size
                            # The key is turned by its own position: it must look ahead by minus the offset.
                            weight[1, head, first, 0] = size * torch.cos(angle)
                            weight[1, head, first + half, 0] = size * torch.sin(angle)
            self.downsample.weight[:, 0] = 0

    def forward(self, pages: Tensor) -> Tensor:
        """pages uint8 or float 0..255 [B, H, W] → visual tokens [B, cells, hidden]."""
        return self.encode(pages)[0]

    def encode(self, pages: Tensor) -> tuple[Tensor, Tensor]:
        """Visual tokens, and patches [B, cells, 4, vision hidden] as the last block gets them."""
        batch, height, width = pages.shape
        rows, cols = height // CELL, width // CELL
        patches = pages.float().mul(1 / 255).view(batch, rows, MERGE, PATCH, cols, MERGE, PATCH)
        patches = patches.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, rows * cols * MERGE * MERGE, PATCH * PATCH)
        x = self.post_conv_layernorm(self.patch_embed(patches))
        cos, sin = self.rotary(rows, cols, x.device)
        patches = x
        for block in self.blocks:
            patches = x
            x = block(x, cos.to(x.dtype), sin.to(x.dtype))
        x = self.post_layernorm(x).view(batch, rows * cols, MERGE * MERGE, -1)
        # The 2 × 2 convolution as one matrix: [out, in, 2, 2] → [out, (2·2) · in]
        weight = self.downsample.weight.permute(0, 2, 3, 1).flatten(1)
        tokens = self.merger(F.linear(x.flatten(2), weight.to(x.dtype), self.downsample.bias.to(x.dtype)))
        return tokens, patches.view(batch, rows * cols, MERGE * MERGE, -1)


def rotate_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


# ---------------------------------------------------------------- decoder


class Attention(nn.Module):
    def __init__(self, config: ReaderConfig):
        super().__init__()
        width = config.hidden_size
        self.heads, self.head_dim, self.rotary_dim = config.num_attention_heads, config.head_dim, config.rotary_dim
        self.q_proj = nn.Linear(width, width, bias=True)
        self.k_proj = nn.Linear(width, width, bias=True)
        self.v_proj = nn.Linear(width, width, bias=True)
        self.o_proj = nn.Linear(width, width, bias=False)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, rows, _ = x.shape
        shape = (batch, rows, self.heads, self.head_dim)
        q, k, v = (p(x).view(shape).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        return rotate_pairs(q, cos, sin, self.rotary_dim), rotate_pairs(k, cos, sin, self.rotary_dim), v

    def output(self, attended: Tensor) -> Tensor:
        return self.o_proj(attended.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, config: ReaderConfig):
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, -1)
        return self.down_proj(up * F.silu(gate))


class DecoderLayer(nn.Module):
    def __init__(self, config: ReaderConfig):
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = Mlp(config)
        for name in ("input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm", "post_mlp_layernorm"):
            setattr(self, name, RMSNorm(config.hidden_size, config.rms_norm_eps))

    def feed(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.post_self_attn_layernorm(self.self_attn.output(attended))
        return x + self.post_mlp_layernorm(self.mlp(self.post_attention_layernorm(x)))


class Decoder(nn.Module):
    def __init__(self, config: ReaderConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor, rotary_dim: int) -> Tensor:
    """Interleaved rotary on the first dimensions of each head; cos and sin are [B, 1, rows, rotary_dim / 2]."""
    turned, rest = x[..., :rotary_dim], x[..., rotary_dim:]
    even, odd = turned[..., 0::2], turned[..., 1::2]
    turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)
    return torch.cat([turned, rest], -1)


class Glm4v(nn.Module):
    """Names as in HF: model.visual, model.language_model, lm_head."""

    def __init__(self, config: ReaderConfig):
        super().__init__()
        self.config = config
        self.model = nn.Module()
        self.model.visual = VisionTower(config)
        self.model.language_model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                nn.init.normal_(module.weight, std=0.7 * (module.weight[0].numel() ** -0.5))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.model.language_model.embed_tokens.weight, std=1.0)
        nn.init.normal_(self.lm_head.weight, std=0.02)

    @property
    def visual(self) -> VisionTower:
        return self.model.visual

    @property
    def decoder(self) -> Decoder:
        return self.model.language_model

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """positions [B, 3, rows] → cos and sin [B, 1, rows, rotary_dim / 2]."""
        config = self.config
        half = config.rotary_dim // 2
        inv_freq = 1.0 / (config.rope_theta ** (torch.arange(half, device=positions.device).float() * 2 / config.rotary_dim))
        axis = torch.repeat_interleave(torch.arange(3), torch.tensor(config.mrope_section)).to(positions.device)
        angles = positions.float()[:, axis].transpose(1, 2) * inv_freq
        return angles.cos()[:, None], angles.sin()[:, None]

    def forward(self, rows: Tensor, positions: Tensor, blocks=None, watch: tuple[int, ...] = (), past: list | None = None):
        """One pass over embedded rows [B, S, hidden].

        `blocks` (prompts.Blocks) says who sees whom; None: every row those before it. The second value holds (queries,
        keys, values) of each layer in `watch`, for the losses on its attention. `past`: the same of all layers for the
        rows before.
        """
        cos, sin = self.rotary(positions)
        watched, x = [], rows
        for index, layer in enumerate(self.decoder.layers):
            # The first layer tells neighbours apart by small differences of large scores.
            exact = index == 0
            with torch.autocast(x.device.type, enabled=False) if exact else nullcontext():
                normed = layer.input_layernorm(x.float() if exact else x)
                q, k, v = layer.self_attn.project(normed, cos, sin)
                if past:
                    k, v = torch.cat([past[index][1], k], 2), torch.cat([past[index][2], v], 2)
                attended = blocks.attend(q, k, v) if blocks else F.scaled_dot_product_attention(q, k, v, is_causal=True)
            if index in watch:
                watched.append((q, k, v))
            x = layer.feed(x, attended)
        return self.decoder.norm(x), watched

    def read_through(self, layer: int, values: Tensor) -> Tensor:
        """Logits if the output of one head alone, values [N, heads, head_dim], went straight to the lm_head."""
        block = self.decoder.layers[layer]
        count, heads, width = values.shape
        weight = block.self_attn.o_proj.weight.view(-1, self.config.num_attention_heads, width)[:, :heads]
        alone = torch.einsum("nhd,ohd->nho", values, weight.to(values.dtype))
        return self.lm_head(self.decoder.norm(block.post_self_attn_layernorm(alone)))
