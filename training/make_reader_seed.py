"""Write models/reader as an untrained seed: the reader's architecture with random weights.

It answers nothing. It gives every other part of glyphpress a real checkpoint to load before training,
and says so in config.json ("glyphpress": {"trained": false}).

    python training/make_reader_seed.py            # needs training/fixtures/requirements.txt
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import Glm4vConfig, Glm4vForConditionalGeneration

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "training"))
from byte_tokenizer import TOKEN_ID, VOCAB_SIZE, dump, write_preprocessor, write_tokenizer  # noqa: E402

RENDER = Path(__file__).resolve().parent / "reader-render.json"
OUT = ROOT / "models" / "reader"
MAX_POSITIONS = 32768


def reader_config() -> Glm4vConfig:
    return Glm4vConfig(
        text_config=dict(
            vocab_size=VOCAB_SIZE,
            hidden_size=128,
            intermediate_size=320,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=MAX_POSITIONS,
            rms_norm_eps=1e-5,
            rope_parameters=dict(
                rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5, mrope_section=[2, 3, 3]
            ),
        ),
        vision_config=dict(
            depth=3, hidden_size=96, num_heads=3, out_hidden_size=128, intermediate_size=256, image_size=336
        ),
        image_token_id=TOKEN_ID["<|image|>"],
        video_token_id=TOKEN_ID["<|video|>"],
        image_start_token_id=TOKEN_ID["<|begin_of_image|>"],
        image_end_token_id=TOKEN_ID["<|end_of_image|>"],
        video_start_token_id=TOKEN_ID["<|begin_of_video|>"],
        video_end_token_id=TOKEN_ID["<|end_of_video|>"],
        tie_word_embeddings=False,
    )


def write_reader(model: Glm4vForConditionalGeneration, folder: Path, *, trained: bool, notes: dict) -> None:
    """Save a reader in fp16 with everything a Hugging Face folder holds."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float16"
    config["glyphpress"] = {"trained": trained, **notes}
    dump(folder / "config.json", config)
    write_tokenizer(folder, template_in_config=True, max_length=MAX_POSITIONS)
    # 1 to 6144 visual tokens an image: short texts make small pages, and stretched type would be
    # unreadable. The budget counts two frames.
    write_preprocessor(folder, shortest_edge=2 * 784, longest_edge=2 * 6144 * 784)
    dump(folder / "generation_config.json", {"eos_token_id": [TOKEN_ID["<|endoftext|>"], TOKEN_ID["<|user|>"]]})


def main() -> None:
    torch.manual_seed(20261120)
    model = Glm4vForConditionalGeneration(reader_config()).eval()
    with torch.no_grad():
        # HF leaves position embeddings and the head at std 0.02: enough for training, but a seed
        # should also show parts downstream something that varies.
        model.lm_head.weight.mul_(20)
    write_reader(model, OUT, trained=False, notes={"kind": "seed", "seed": 20261120, "render": json.loads(RENDER.read_text())})

    loaded = Glm4vForConditionalGeneration(Glm4vConfig.from_pretrained(OUT))
    loaded.load_state_dict(load_file(OUT / "model.safetensors"), strict=True)
    checked, info = Glm4vForConditionalGeneration.from_pretrained(OUT, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    parameters = sum(p.numel() for p in checked.parameters())
    print(f"{OUT}: {parameters / 1e6:.2f} M parameters, {(OUT / 'model.safetensors').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
