"""Compares laid-out and drawn pages with those of the renderer: line breaks, positions and pixels.

    python -m reader.check_drawing --corpus runs/corpus --pages 6
"""

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image

from .draw import draw
from .layout import lay_out, sample_typography
from .renderer import render, render_config
from .sources import Documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=6)
    parser.add_argument("--save", type=Path, help="folder for both pictures of each page")
    args = parser.parse_args()
    rng = random.Random(4)
    documents = Documents(args.corpus / "heldout.jsonl")
    same, lines = 0, 0
    for i in range(args.pages):
        text = documents.passage(rng, 600, 1500)
        look = sample_typography(rng, rng.random())
        look = look.__class__(**{**look.__dict__, "overlap": 0})
        laid = lay_out(text, look)
        page = render(text, render_config(look, 40))[0]
        ours = [text[line.start : line.end].strip() for line in laid.lines if text[line.start : line.end].strip()]
        units = text.encode("utf-16-le")
        theirs = [units[2 * line["start"] : 2 * line["end"]].decode("utf-16-le").strip() for line in page.lines]
        theirs = [line for line in theirs if line]
        agree = sum(a == b for a, b in zip(ours, theirs, strict=False))
        same, lines = same + agree, lines + len(theirs)
        for a, b in zip(ours, theirs, strict=False):
            if a != b:
                print(f"  first other line: {a!r}, rendered {b!r}")
                break
        drawn = draw(laid, look, page.pixels.shape[0] // 28)[:, : page.pixels.shape[1]]
        a, b = 255.0 - drawn, 255.0 - page.pixels
        like = (a * b).sum() / max(1.0, np.sqrt((a * a).sum() * (b * b).sum()))
        print(f"{look.family:22} {look.size:5.2f} px, pitch {look.pitch:5.2f}, {'anywhere' if look.anywhere else 'words':8} lines {agree}/{len(theirs)} ({len(ours)})  likeness {like:.3f}  ink {a.sum() / b.sum():.3f}")
        if args.save:
            args.save.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.concatenate([page.pixels, np.full((page.pixels.shape[0], 8), 128, np.uint8), drawn], 1)).save(args.save / f"{i}.png")
    print(f"{same} of {lines} lines the same")


if __name__ == "__main__":
    main()
