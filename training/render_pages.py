"""Render generated texts with glyphpress itself and keep pixels and characters for training.

    python training/render_pages.py --out training/runs/pages/train --pages 600
    python training/render_pages.py --out training/runs/pages/heldout --pages 40 --held-out

A folder holds `pages.npy` (uint8, pages × height × width) and `rows.json` (the text of each slot row of each
page, from the renderer's span map; empty where no line stands). With fewer than three text rows to a cell
(`--rows-per-cell`), some slot rows are null: of two text rows, one is in the first slot row and one in the last.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from corpus import ROOT, TextSource, find_texts  # noqa: E402
from model import CELL  # noqa: E402
from slots import OVERLAP, ROWS  # noqa: E402

READER_CONFIG = ROOT / "training" / "reader-render.json"
PAGES_PER_RUN = 60


# Text rows to a cell: the slot rows that they fill.
SLOT_ROWS = {1: (1,), 2: (0, 2), 3: (0, 1, 2)}


def render(text: str, folder: Path, config: Path, rows_per_cell: int = ROWS) -> list[dict]:
    source = folder / "text.txt"
    source.write_text(text, encoding="utf-8")
    command = ["node", str(ROOT / "bin" / "glyphpress.js"), "render", str(source), "-o", str(folder), "--json"]
    command += ["--config", str(config), "--set", "auto-crop-width=false", "--set", "auto-crop-last-page=false"]
    command += ["--set", "reflow=false"]  # corpus.py joins lines itself, and rows are read from the source
    if rows_per_cell != ROWS:
        command += ["--set", f"line-height={28 / rows_per_cell}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / "pages.json").read_text())["pages"]


def rows_of(page: dict, text: str, height: int, rows_per_cell: int = ROWS) -> list[str | None]:
    """The text of each slot row of a page so many pixels high; None where this pitch puts none."""
    used = SLOT_ROWS[rows_per_cell]
    rows = ["" if row in used else None for _ in range(height // CELL) for row in range(ROWS)]
    for line in page["lines"]:
        repeated = OVERLAP if line["x"] > 0 else 0
        cell, row = divmod(round(line["y"] / (CELL / rows_per_cell)), rows_per_cell)
        rows[cell * ROWS + used[row]] = text[line["start"] - repeated : line["end"]].rstrip("\n\f")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=600)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--keep", action="store_true", help="do nothing when the folder has enough pages")
    parser.add_argument("--rows-per-cell", type=int, choices=list(SLOT_ROWS), default=ROWS)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    if args.keep and (args.out / "rows.json").exists():
        if len(json.loads((args.out / "rows.json").read_text())) >= args.pages:
            return
    args.out.mkdir(parents=True, exist_ok=True)
    source = TextSource(find_texts(held_out=args.held_out))
    rng = random.Random(f"{'heldout' if args.held_out else 'train'}-{args.seed}" + (f"-{args.rows_per_cell}" if args.rows_per_cell != ROWS else ""))
    pixels, rows = [], []
    while len(pixels) < args.pages:
        wanted = min(PAGES_PER_RUN, args.pages - len(pixels))
        text = "\f".join(source.page(rng, rng.randint(5500, 8000) * args.rows_per_cell // ROWS)[0] for _ in range(wanted))
        with tempfile.TemporaryDirectory() as temporary:
            for page in render(text, Path(temporary), READER_CONFIG, args.rows_per_cell):
                image = np.asarray(Image.open(Path(temporary) / page["file"]).convert("L"))
                pixels.append(image)
                rows.append(rows_of(page, text, image.shape[0], args.rows_per_cell))
        print(f"{len(pixels)} pages", flush=True)
        np.save(args.out / "pages.npy.tmp.npy", np.stack(pixels[: args.pages]))
        (args.out / "pages.npy.tmp.npy").rename(args.out / "pages.npy")
        (args.out / "rows.json").write_text(json.dumps(rows[: args.pages]))


if __name__ == "__main__":
    main()
