"""Write a trained reader as a Hugging Face folder, in the form of models/look-up-reader.

    python training/export.py --run training/runs/reader --out training/runs/export
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent))
import checkpoint  # noqa: E402
from byte_tokenizer import TOKEN_ID, VOCAB_SIZE, dump, write_preprocessor, write_tokenizer  # noqa: E402
from construct import characters  # noqa: E402
from model import Glm4v, ReaderConfig  # noqa: E402


def config_json(config: ReaderConfig, notes: dict) -> dict:
    assert config.vocab_size == VOCAB_SIZE
    return {
        "architectures": ["Glm4vForConditionalGeneration"],
        "model_type": "glm4v",
        "image_token_id": TOKEN_ID["<|image|>"],
        "image_start_token_id": TOKEN_ID["<|begin_of_image|>"],
        "image_end_token_id": TOKEN_ID["<|end_of_image|>"],
        "video_token_id": TOKEN_ID["<|video|>"],
        "video_start_token_id": TOKEN_ID["<|begin_of_video|>"],
        "video_end_token_id": TOKEN_ID["<|end_of_video|>"],
        "text_config": {
            "model_type": "glm4v_text",
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "num_key_value_heads": config.num_attention_heads,
            "max_position_embeddings": config.max_position_embeddings,
            "rms_norm_eps": config.rms_norm_eps,
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "use_cache": True,
            "pad_token_id": None,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": config.rope_theta,
                "partial_rotary_factor": config.partial_rotary_factor,
                "mrope_section": config.mrope_section,
            },
        },
        "vision_config": {
            "model_type": "glm4v_vision",
            "depth": config.vision_depth,
            "hidden_size": config.vision_hidden_size,
            "num_heads": config.vision_heads,
            "out_hidden_size": config.hidden_size,
            "intermediate_size": config.vision_intermediate_size,
            "image_size": config.image_size,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "in_channels": 3,
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "rms_norm_eps": config.rms_norm_eps,
            "rope_parameters": {"rope_type": "axial", "rope_theta": 10000.0},
        },
        "tie_word_embeddings": False,
        "transformers_version": "5.18.0",
        "dtype": "float16",
        "glyphpress": notes,
    }


def write_folder(model: Glm4v, folder: Path, notes: dict, card: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    config = model.config
    dump(folder / "config.json", config_json(config, notes))
    write_tokenizer(folder, template_in_config=True, max_length=config.max_position_embeddings)
    # One cell is enough: short texts make small pages, and stretched type would be unreadable.
    write_preprocessor(folder, shortest_edge=2 * 784, longest_edge=2 * 6144 * 784)
    dump(folder / "generation_config.json", {"eos_token_id": [TOKEN_ID["<|endoftext|>"], TOKEN_ID["<|user|>"]]})
    if card:
        (folder / "README.md").write_text(card, encoding="utf-8")


CARD = """# The glyphpress reader

A very small vision-language model (GLM-4V architecture, {millions:.1f} M parameters) that reads pages which glyphpress
renders, and finds and copies what stands on them. No pretrained weights went into it: the tower was trained on
a CPU, and the decoder began as a look-up circuit whose heads were written by hand, then trained too. It knows bytes, printable
ASCII, and **one rendering**: DejaVu Sans Mono at a pitch of 28/3 px with 5 × 3 characters a visual token
(`training/reader-render.json`). It is no general assistant: it repeats the sentence that a question is about
("What is the access code of the north gate?" → "The access code of the north gate is …", or "… is not found.") and does
not reason. It reads the same type at one and two rows a token as well, worse the fewer there are.
{note}
| held out, real renderer | |
|---|---|
{rows}

Trained on generated text and on licences, manuals and package documentation of a Debian machine, for {minutes:.0f}
minutes of process time on a shared two-core machine. How: `training/README.md`; learning curves:
`docs/results/reader.md`.

`probe/model.safetensors` is the legibility probe: `codes` [95, 8], one vector for each printable character. Of a
visual token, dimensions 8p … 8p + 7 are place p of its window (3 rows × 15 places; the last five of a row are the
cell's own); the character there is the one whose vector has the largest product with them.
"""


def last_figures(folder: Path) -> tuple[dict, float]:
    """Last held-out figures of a stage by page height, and the seconds spent on it."""
    figures, seconds = {}, 0.0
    log = folder / "log.jsonl"
    for line in log.read_text().splitlines() if log.exists() else []:
        entry = json.loads(line)
        seconds = entry["seconds"]
        if "held_out" in entry:
            figures["×".join(map(str, entry["held_out"]["grid"]))] = entry["held_out"]
        if "cer" in entry:
            figures[f"cer {entry.get('pages', 'heldout')}"] = entry["cer"]
    return figures, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("training/runs/reader"))
    parser.add_argument("--out", type=Path, default=Path("training/runs/export"))
    parser.add_argument("--note", default="", help="a sentence for the model card")
    args = parser.parse_args()

    model = Glm4v(ReaderConfig())
    align = checkpoint.load(args.run / "align")
    if checkpoint.is_in(args.run / "tune"):
        tune = checkpoint.load(args.run / "tune")
        visual, decoder = tune["visual"], tune["parts"]
    else:
        visual, decoder = align["model"], checkpoint.load(args.run / "decoder")["decoder"]
    model.visual.load_state_dict(visual)
    for name, part in (("decoder.", model.decoder), ("lm_head.", model.lm_head)):
        part.load_state_dict({k.removeprefix(name): v for k, v in decoder.items() if k.startswith(name)})

    stages = {stage: last_figures(args.run / stage) for stage in ("vision", "decoder", "align", "tune")}
    figures = {stage: found for stage, (found, _) in stages.items()}
    minutes = sum(seconds for _, seconds in stages.values()) / 60
    rows = []
    for pages, name in (("heldout", "3 rows a token"), ("heldout-2", "2 rows a token"), ("heldout-1", "1 row a token")):
        if f"cer {pages}" in figures["align"]:
            rows.append(f"| characters wrong, whole pages (probe), {name} | {figures['align'][f'cer {pages}']:.2%} |")
    for grid, held_out in figures["tune"].items():
        rows.append(f"| look-up, value right, {grid} (rows × columns × pages) | {held_out['free_look-up']:.0%} of {held_out['look_ups']} |")
        rows.append(f"| next characters of a snippet right, {grid} cells | {held_out['snippet_chars']:.1%} |")
    parameters = sum(p.numel() for p in model.parameters())
    notes = {"trained": True, "kind": "reader", "render": json.loads((Path(__file__).resolve().parent / "reader-render.json").read_text()), "figures": figures}
    card = CARD.format(millions=parameters / 1e6, rows="\n".join(rows), minutes=minutes, note=args.note and f"\n{args.note}\n")
    write_folder(model, args.out, notes, card)
    # The legibility probe: the code of each character, to be compared with each block of a visual token.
    codes = characters(torch.Generator().manual_seed(8))
    (args.out / "probe").mkdir(exist_ok=True)
    save_file({"codes": codes}, args.out / "probe" / "model.safetensors", metadata={"format": "pt"})
    (args.out / "probe" / "model.safetensors").chmod(0o644)
    size = (args.out / "model.safetensors").stat().st_size
    print(f"{args.out}: {parameters / 1e6:.2f} M parameters, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
