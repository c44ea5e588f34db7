"""This project's PyTorch model against Hugging Face's: same folder, same page, same logits.

    python training/check_parity.py --model training/runs/export --page page.png
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent))
from byte_tokenizer import TOKEN_ID  # noqa: E402
from load_reader import load_reader  # noqa: E402
from model import CELL  # noqa: E402
from prompts import Batch, Grid, embed, layout  # noqa: E402
from questions import PREFIX, TO_ANSWER, Question  # noqa: E402


def main() -> None:
    from transformers import Glm4vConfig, Glm4vForConditionalGeneration, Glm4vImageProcessor, PreTrainedTokenizerFast

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--page", type=Path, action="append", required=True)
    parser.add_argument("--question", default="What is the access code of the north gate?")
    args = parser.parse_args()

    ours = load_reader(args.model).eval()
    theirs = Glm4vForConditionalGeneration(Glm4vConfig.from_pretrained(args.model)).eval()
    theirs.load_state_dict(load_file(args.model / "model.safetensors"), strict=True)
    theirs.float()
    processor = Glm4vImageProcessor.from_pretrained(args.model)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(args.model / "tokenizer.json"))
    template = json.loads((args.model / "tokenizer_config.json").read_text())["chat_template"]
    content = [{"type": "image"}, {"type": "text", "text": args.question}]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], chat_template=template, add_generation_prompt=True, tokenize=False
    )
    for file in args.page:
        page = Image.open(file).convert("L")
        cell_rows, cell_cols = page.height // CELL, page.width // CELL
        pixels = processor(images=[page.convert("RGB")], return_tensors="pt")
        assert pixels["image_grid_thw"].tolist() == [[1, 2 * cell_rows, 2 * cell_cols]], pixels["image_grid_thw"]
        prompt = text.replace("<|image|>", "<|image|>" * (cell_rows * cell_cols))
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        question = [*args.question.encode(), *TO_ANSWER]
        assert ids[0].tolist() == [*PREFIX, *[TOKEN_ID["<|image|>"]] * (cell_rows * cell_cols), TOKEN_ID["<|end_of_image|>"], *question]
        with torch.no_grad():
            types = (ids == TOKEN_ID["<|image|>"]).int()
            expected = theirs(input_ids=ids, mm_token_type_ids=types, **pixels).logits[0]
            tokens = ours.visual(torch.from_numpy(np.array(page))[None])
            batch = Batch([[Question(question, question, question, "check")]])
            grid = Grid(cell_rows, cell_cols)
            positions, blocks = layout(batch, grid, tokens.device)
            hidden, _ = ours(embed(ours, tokens, batch, grid), positions, blocks)
            actual = ours.lm_head(hidden)[0]
        difference = (actual - expected).abs().max().item()
        print(f"{file.name}: largest difference of logits {difference:.2e}, logits up to {expected.abs().max():.1f}")
        assert difference <= 1e-3, "the two models differ"


if __name__ == "__main__":
    main()
