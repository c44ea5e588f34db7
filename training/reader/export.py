"""Writes a trained reader as a Hugging Face folder of LightOnOCR's architecture with a Llama decoder.

    python -m reader.export --base runs/base --state runs/joint/state.pt --out runs/export

`--state` is a state of train_language with a tower in it; `--tower` adds one where it has none.
The folder loads strictly into transformers' `LightOnOcrForConditionalGeneration` (`check_parity.py`).
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .base_weights import CONFIG, load_base
from .language_model import int4
from .shipped import load_state
from .tokens import IMAGE
from .tower import CELL, IMAGE_MEAN, IMAGE_STD, MERGE, PATCH, VISION_THETA, TowerConfig

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
IMAGE_TOKEN = "<empty_output>"
CHAT_TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}{{ '\\n' }}"
    "{%- if message.content is string %}{{ message.content }}"
    "{%- else %}{%- set seen = namespace(last='') %}"
    "{%- for item in message.content %}"
    # Pages follow each other; between them and text, before or behind, there is a line break.
    "{%- if seen.last and (seen.last != 'image' or item.type != 'image') %}{{ '\\n' }}{%- endif %}"
    "{%- if item.type == 'image' %}" + IMAGE_TOKEN + "{%- else %}{{ item.text }}{%- endif %}"
    "{%- set seen.last = item.type %}{%- endfor %}"
    "{%- endif %}<|im_end|>{{ '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}{%- endif %}"
)
LONGEST_EDGE = 4004
"""px; a multiple of 28"""


def config(tower: TowerConfig) -> dict:
    text = {k: v for k, v in CONFIG.items() if k not in ("architectures", "tie_word_embeddings", "rope_theta")}
    return {
        "architectures": ["LightOnOcrForConditionalGeneration"],
        "model_type": "lighton_ocr",
        "image_token_id": IMAGE,
        "spatial_merge_size": MERGE,
        "tie_word_embeddings": True,
        "eos_token_id": CONFIG["eos_token_id"],
        "pad_token_id": CONFIG["pad_token_id"],
        "text_config": {**text, "rope_theta": CONFIG["rope_theta"], "rope_parameters": {"rope_type": "default", "rope_theta": CONFIG["rope_theta"]}},
        "vision_config": {
            "model_type": "pixtral",
            "hidden_size": tower.width,
            "intermediate_size": tower.inner,
            "num_hidden_layers": tower.layers,
            "num_attention_heads": tower.heads,
            "head_dim": tower.width // tower.heads,
            "hidden_act": "silu",
            "num_channels": 3,
            "image_size": LONGEST_EDGE,
            "patch_size": PATCH,
            "attention_dropout": 0.0,
            "rope_theta": VISION_THETA,
            "rope_parameters": {"rope_type": "axial", "rope_theta": VISION_THETA},
        },
    }


PREPROCESSOR = {
    "image_processor_type": "PixtralImageProcessor",
    "processor_class": "LightOnOcrProcessor",
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_convert_rgb": True,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "image_mean": [IMAGE_MEAN] * 3,
    "image_std": [IMAGE_STD] * 3,
    "patch_size": {"height": CELL, "width": CELL},
    "size": {"longest_edge": LONGEST_EDGE},
}
TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "clean_up_tokenization_spaces": False,
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "model_max_length": CONFIG["max_position_embeddings"],
    "extra_special_tokens": {"image_token": IMAGE_TOKEN},
    "chat_template": CHAT_TEMPLATE,
}


def hf_state(base: dict[str, Tensor], state: dict, in_int4: bool = False) -> dict[str, Tensor]:
    """Names of `LightOnOcrForConditionalGeneration`; the output is tied to the embedding.

    in_int4: the decoder's matrices are rounded to what `train_language --int4` computed with.
    """
    weights = {"model.language_model.embed_tokens.weight": base["model.embed_tokens.weight"]}
    weights |= {f"model.language_model.{name}": int4(w) if in_int4 and w.dim() == 2 else w for name, w in state["model"].items()}
    weights |= {f"model.{name}": w for name, w in state["tower"].items()}
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--tower", type=Path)
    parser.add_argument("--int4", action="store_true", help="round to the int4 weights that a run with --int4 computed with")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dtype", choices=list(DTYPES), default="bfloat16")
    args = parser.parse_args()
    state = load_state(args.state)
    if args.tower:
        state |= {k: v for k, v in load_state(args.tower).items() if k in ("tower", "config", "head")}
    if "tower" not in state:
        parser.error("this state has no tower: name one with --tower")
    args.out.mkdir(parents=True, exist_ok=True)
    weights = {n: w.to(DTYPES[args.dtype]).contiguous() for n, w in hf_state(load_base(args.base), state, args.int4).items()}
    save_file(weights, args.out / "model.safetensors", {"format": "pt"})
    write = lambda name, content: (args.out / name).write_text(json.dumps(content, indent=1) + "\n")  # noqa: E731
    write("config.json", config(TowerConfig(**state["config"])) | {"dtype": args.dtype})
    write("preprocessor_config.json", PREPROCESSOR)
    write("tokenizer_config.json", TOKENIZER)
    write("generation_config.json", {"eos_token_id": [CONFIG["eos_token_id"], 0], "pad_token_id": CONFIG["pad_token_id"], "do_sample": False})
    shutil.copy(args.base / "tokenizer.json", args.out / "tokenizer.json")
    if "head" in state:
        (args.out / "probe").mkdir(exist_ok=True)
        save_file({n: w.to(DTYPES[args.dtype]).contiguous() for n, w in state["head"].items()}, args.out / "probe" / "model.safetensors")
    print(f"{args.out}: {sum(w.numel() for w in weights.values()) / 1e6:.1f} M parameters, {args.dtype}")


if __name__ == "__main__":
    main()
