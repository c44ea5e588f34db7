"""SmolLM2's decoder (Llama architecture) on embeddings, batched, with Hugging Face's parameter names."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

WIDTH, INNER, LAYERS, HEADS, KV_HEADS, HEAD = 576, 1536, 30, 9, 3, 64
VOCABULARY, THETA, EPS = 49152, 100000.0, 1e-5


def has_bf16(device: torch.device) -> bool:
    """Whether matrices are multiplied faster in bf16: on GPUs, and on CPUs with AMX."""
    return device.type == "cuda" or bool(torch.cpu._is_amx_tile_supported())


class Norm(nn.Module):
    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), EPS)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat((-right, left), -1) * sin


def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
    """positions [T] or [B, T] -> cos, sin [..., T, 64], fp32."""
    frequencies = THETA ** (-torch.arange(0, HEAD, 2, device=positions.device, dtype=torch.float32) / HEAD)
    angles = positions[..., None].float() * frequencies
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


INT4_GROUP, INT4_TOP = 32, 7


def int4(weight: Tensor) -> Tensor:
    """The nearest weights that symmetric int4 can hold: groups of 32 along the input, fp16 scales of max / 7."""
    groups = weight.float().unflatten(-1, (-1, INT4_GROUP))
    scale = (groups.abs().amax(-1, keepdim=True) / INT4_TOP).half().float().clamp(min=6e-8)
    return ((groups / scale).round().clamp(-INT4_TOP, INT4_TOP) * scale).flatten(-2)


class StraightThrough(torch.autograd.Function):
    """Computes with one weight, and learns another: (learned, held) -> held."""

    @staticmethod
    def forward(ctx, learned: Tensor, held: Tensor) -> Tensor:
        ctx.dtype = learned.dtype
        return held.view_as(held)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient.to(ctx.dtype), None


class Projection(nn.Linear):
    """Without bias. After `hold`, it computes with int4 weights, and learns the float ones behind them (straight through)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)
        self.held: Tensor | None = None

    @torch.no_grad()
    def hold(self, dtype: torch.dtype) -> None:
        held = int4(self.weight).to(dtype)
        self.held = held if self.held is None else self.held.copy_(held)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight if self.held is None else StraightThrough.apply(self.weight, self.held))


ROWS_AT_ONCE = 128


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[B, heads, T, 64] each."""
    if q.device.type == "cuda":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return attention_by_rows(q, k, v)


@torch.compiler.disable
def attention_by_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same on a CPU, where PyTorch's fused kernel takes four times as long backwards."""
    out = []
    for start in range(0, q.shape[2], ROWS_AT_ONCE):
        end = min(start + ROWS_AT_ONCE, q.shape[2])
        scores = q[:, :, start:end] @ k[:, :, :end].transpose(2, 3) * HEAD**-0.5
        later = torch.ones(end - start, end, dtype=torch.bool, device=q.device).triu(start + 1)
        out.append(scores.masked_fill(later, float("-inf")).softmax(-1) @ v[:, :, :end])
    return torch.cat(out, 2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = Projection(WIDTH, HEADS * HEAD)
        self.k_proj = Projection(WIDTH, KV_HEADS * HEAD)
        self.v_proj = Projection(WIDTH, KV_HEADS * HEAD)
        self.o_proj = Projection(HEADS * HEAD, WIDTH)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None = None):
        """x [B, T, 576] -> ([B, T, 576], keys and values [B, 3, past + T, 64])"""
        batch, length, _ = x.shape
        split = lambda t, heads: t.view(batch, length, heads, HEAD).transpose(1, 2)  # noqa: E731
        q = rotate(split(self.q_proj(x), HEADS), cos, sin)
        k = rotate(split(self.k_proj(x), KV_HEADS), cos, sin)
        v = split(self.v_proj(x), KV_HEADS)
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        group = HEADS // KV_HEADS
        wide_k, wide_v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        if past is None:
            out = causal_attention(q, wide_k, wide_v)
        else:
            seen = torch.ones(length, k.shape[2], dtype=torch.bool, device=x.device).tril(k.shape[2] - length)
            out = F.scaled_dot_product_attention(q, wide_k, wide_v, attn_mask=seen)
        return self.o_proj(out.transpose(1, 2).reshape(batch, length, WIDTH)), (k, v)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = Projection(WIDTH, INNER)
        self.up_proj = Projection(WIDTH, INNER)
        self.down_proj = Projection(INNER, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm = Norm()
        self.self_attn = Attention()
        self.post_attention_layernorm = Norm()
        self.mlp = Mlp()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)[0]
        return x + self.mlp(self.post_attention_layernorm(x))


class LanguageModel(nn.Module):
    """`embed_tokens` is frozen and tied to the output. `state_dict` has the names of `LlamaModel`."""

    def __init__(self, layers: int = LAYERS):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.embed_tokens.weight.requires_grad_(False)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.norm = Norm()
        self.recompute = False

    def hold_int4(self, dtype: torch.dtype) -> None:
        """Until the next call computes as the int4 weights would that are made of it now."""
        for module in self.modules():
            if isinstance(module, Projection):
                module.hold(dtype)

    @staticmethod
    def from_base(weights: dict[str, Tensor]) -> "LanguageModel":
        with torch.device("meta"):
            model = LanguageModel()
        model = model.to_empty(device="cpu")
        model.load_state_dict({name.removeprefix("model."): weight for name, weight in weights.items()})
        return model

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Embeddings [B, T, 576] -> normalised hidden states [B, T, 576]."""
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)
        cos, sin = (t.to(x.dtype) for t in rotary(positions))
        if positions.dim() == 2:
            cos, sin = cos[:, None], sin[:, None]
        for layer in self.layers:
            if self.recompute and self.training:
                x = checkpoint(layer, x, cos, sin, use_reentrant=False)
            else:
                x = layer(x, cos, sin)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embed_tokens.weight.to(hidden.dtype))

    @torch.no_grad()
    def generate(self, x: Tensor, most: int, stop: int = 2, positions: Tensor | None = None) -> tuple[list[int], list[float]]:
        """Greedy continuation of one sequence of embeddings [1, T, 576]: token ids and their probabilities.

        positions [1, T] where visual tokens were dropped; the continuation counts on from the last.
        """
        past: list = [None] * len(self.layers)
        ids, sure = [], []
        now = torch.arange(x.shape[1], device=x.device) if positions is None else positions[0]
        while len(ids) < most:
            cos, sin = (t.to(x.dtype) for t in rotary(now))
            now = now[-1:] + 1
            for i, layer in enumerate(self.layers):
                attended, past[i] = layer.self_attn(layer.input_layernorm(x), cos, sin, past[i])
                x = x + attended
                x = x + layer.mlp(layer.post_attention_layernorm(x))
            scores = self.logits(self.norm(x[:, -1])).float().softmax(-1)
            chance, best = scores.max(-1)
            if best.item() == stop:
                break
            ids.append(best.item())
            sure.append(chance.item())
            x = self.embed_tokens(best)[:, None].to(x.dtype)
        return ids, sure
