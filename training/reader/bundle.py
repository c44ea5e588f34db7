"""Packs what a GPU machine without network needs into loads of at most so many MiB.

    python -m reader.bundle --base runs/base --corpus runs/corpus --out gpu --load 61

Writes gpu/0, gpu/1, ...: the base's quantised blocks in pieces, the tokenizer, the fonts, and as many documents as fit
(lzma; whole kinds are thinned evenly). `training/gpu/receive.sh` puts the loads together on the other side.
"""

import argparse
import json
import lzma
import random
import shutil
from pathlib import Path

from .base_weights import BLOCK_FILES
from .layout import FONTS, font_file

PIECE = 4 * 2**20


def pieces(path: Path) -> list[tuple[str, bytes]]:
    data = path.read_bytes()
    return [(f"{path.name}.{i // PIECE:02d}", data[i : i + PIECE]) for i in range(0, len(data), PIECE)]


def documents(path: Path, room: int, seed: int) -> bytes:
    """A random choice of lines, in lzma, that takes at most `room` bytes."""
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line]
    random.Random(seed).shuffle(lines)
    # Text and facts pack to about a fifth.
    share = min(1.0, 4.5 * room / path.stat().st_size)
    while True:
        packed = lzma.compress("\n".join(lines[: max(1, int(len(lines) * share))]).encode(), preset=6)
        if len(packed) <= room:
            return packed
        share *= 0.95 * room / len(packed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--load", type=float, default=61, help="MiB in one load")
    parser.add_argument("--documents", type=float, default=18, help="MiB of documents, packed")
    args = parser.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    # The tower's training needs all but the decoder: it starts when the first load is there.
    files = pieces(args.base / BLOCK_FILES["embedding"])
    files.append(("tokenizer.json", (args.base / "tokenizer.json").read_bytes()))
    files += [(Path(font_file(family)).name, Path(font_file(family)).read_bytes()) for family in FONTS]
    files.append(("train.jsonl.xz", documents(args.corpus / "train.jsonl", int(args.documents * 2**20), 1)))
    files.append(("heldout.jsonl.xz", documents(args.corpus / "heldout.jsonl", 2**20, 2)))
    files += pieces(args.base / BLOCK_FILES["decoder"])
    loads: list[int] = []
    for name, data in files:
        if not loads or loads[-1] + len(data) > args.load * 2**20:
            loads.append(0)
        folder = args.out / str(len(loads) - 1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        loads[-1] += len(data)
    print(json.dumps({"loads": [round(n / 2**20, 1) for n in loads], "files": len(files)}))


if __name__ == "__main__":
    main()
