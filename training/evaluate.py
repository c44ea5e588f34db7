"""Score an exported reader on new pages from the real renderer: free-running answers, nothing given away.

    python training/evaluate.py --model training/runs/export --pages 20 --cells 30x21 --cells 10x21
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from answering import answer  # noqa: E402
from corpus import TextSource, find_texts  # noqa: E402
from load_reader import load_reader  # noqa: E402
from model import CELL  # noqa: E402
from prompts import Grid  # noqa: E402
from questions import TO_ANSWER  # noqa: E402
from render_pages import READER_CONFIG, render, rows_of  # noqa: E402
from slots import BEFORE, COLS, ROWS, PageText  # noqa: E402
from train_align import CodeReader  # noqa: E402

def edit_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--facts", type=int, default=5, help="facts a page, all alike in form")
    parser.add_argument("--cells", action="append", help="rows x columns (default 30x21 10x21 4x21)")
    parser.add_argument("--seed", default="evaluate-1")
    parser.add_argument("--show", type=int, default=0, help="print so many answers")
    args = parser.parse_args()

    model = load_reader(args.model).eval()
    head = CodeReader()
    source = TextSource(find_texts(held_out=True))
    for cells in args.cells or ["30x21", "10x21", "4x21"]:
        cell_rows, cell_cols = map(int, cells.split("x"))
        rng = random.Random(f"{args.seed}-{cells}")
        room = cell_rows * ROWS * cell_cols * COLS
        facts_a_page = max(1, min(args.facts, room // 250))
        made = [source.page(rng, int(room * 0.7), facts_a_page) for _ in range(args.pages)]
        text = "\f".join(page for page, _ in made)
        facts = {fact.text: fact for _, chosen in made for fact in chosen}
        config = json.loads(READER_CONFIG.read_text())
        config["page-size"] = f"{cell_cols * CELL},{cell_rows * CELL}"
        wrong = characters = asked = exact = value_right = random_asked = random_right = whole_asked = whole_right = 0
        shown = 0
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / "config.json"
            file.write_text(json.dumps(config))
            for page in render(text, Path(temporary), file):
                image = np.array(Image.open(Path(temporary) / page["file"]).convert("L"))
                rows = rows_of(page, text, image.shape[0])
                labels = PageText(rows, cell_rows, cell_cols)
                with torch.no_grad():
                    tokens = model.visual(torch.from_numpy(image)[None])[0]
                    read = head(tokens).argmax(-1)[..., BEFORE:].numpy()
                read = read.reshape(cell_rows, cell_cols, ROWS, COLS).transpose(0, 2, 1, 3).reshape(cell_rows * ROWS, -1)
                for row, truth in zip(read, rows):
                    seen = "".join(chr(c + 32) for c in row).rstrip()
                    wrong += edit_distance(seen, truth)
                    characters += len(truth)
                here = [fact for fact_text, fact in facts.items() if labels.text.count(fact_text) == 1]
                if not here:
                    continue
                prompts = [[*fact.question.encode(), *TO_ANSWER] for fact in here]
                for fact, said in zip(here, answer(model, tokens[None], Grid(cell_rows, cell_cols), prompts)):
                    one_row = any(fact.text in row for row in rows)
                    right = fact.value in said
                    asked += 1
                    exact += said == fact.answer
                    value_right += right
                    if any(c.isdigit() for c in fact.value):
                        random_asked += 1
                        random_right += right
                    if one_row:
                        whole_asked += 1
                        whole_right += right
                    if shown < args.show:
                        shown += 1
                        print(f"  {fact.question} → {said!r} (is {fact.value!r})")
        print(
            json.dumps(
                {
                    "cells": cells,
                    "cer": round(wrong / characters, 4),
                    "characters": characters,
                    "look_ups": asked,
                    "value_right": round(value_right / asked, 3),
                    "answer_exact": round(exact / asked, 3),
                    "random_values": random_asked,
                    "random_right": round(random_right / max(1, random_asked), 3),
                    "on_one_row": whole_asked,
                    "on_one_row_right": round(whole_right / max(1, whole_asked), 3),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
