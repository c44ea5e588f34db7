"""Shows that the reader trained here is transformers' LightOnOCR: strict loading, and the same logits on real pages.

    python -m reader.check_parity --model runs/export --base runs/base --state runs/joint/state.pt --page page-0001.png ...

Fails above 1e-3 (fp32). `--state` and `--tower` as for export; the exported folder must be float32.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoConfig, LightOnOcrForConditionalGeneration

from .base_weights import load_base
from .language_model import LanguageModel
from .tokens import IMAGE, TextTokens
from .tower import CELL, IMAGE_MEAN, IMAGE_STD, Tower, TowerConfig

MOST = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--tower", type=Path)
    parser.add_argument("--page", type=Path, nargs="+", required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    theirs = LightOnOcrForConditionalGeneration(AutoConfig.from_pretrained(args.model)).float().eval()
    weights = {n: w.float() for n, w in load_file(args.model / "model.safetensors").items()}
    weights["lm_head.weight"] = weights["model.language_model.embed_tokens.weight"]
    theirs.load_state_dict(weights, strict=True)

    state = torch.load(args.state, map_location="cpu", weights_only=True)
    if args.tower:
        state |= torch.load(args.tower, map_location="cpu", weights_only=True) | {"model": state["model"]}
    model = LanguageModel.from_base(load_base(args.base))
    model.load_state_dict({"embed_tokens.weight": model.embed_tokens.weight, **state["model"]})
    tower = Tower(TowerConfig(**state["config"]))
    tower.load_state_dict(state["tower"])
    tokens = TextTokens(args.base / "tokenizer.json")

    worst = 0.0
    for path in args.page:
        grey = np.asarray(Image.open(path).convert("L"))
        grey = grey[: grey.shape[0] // CELL * CELL, : grey.shape[1] // CELL * CELL]
        cells = grey.size // CELL**2
        ids = torch.tensor([tokens.before_pages + [IMAGE] * cells + tokens.after_page + tokens.ids("What does the page say?") + tokens.before_answer])
        with torch.no_grad():
            seen, _ = tower(torch.from_numpy(grey.copy())[None])
            x = model.embed_tokens(ids).masked_scatter((ids == IMAGE)[..., None], seen)
            ours = model.logits(model(x)[0, -8:])
            pixels = ((torch.from_numpy(grey.copy()).float() / 255 - IMAGE_MEAN) / IMAGE_STD)[None, None].expand(1, 3, -1, -1)
            their = theirs(input_ids=ids, pixel_values=pixels, image_sizes=torch.tensor([grey.shape])).logits[0, -8:]
        off = (ours - their).abs().max().item()
        worst = max(worst, off)
        print(f"{path.name}: {cells} cells, logits differ by at most {off:.2e}; same best tokens: {(ours.argmax(-1) == their.argmax(-1)).all().item()}")
    if worst > MOST:
        sys.exit(f"logits differ by {worst:.2e}, more than {MOST}")


if __name__ == "__main__":
    main()
