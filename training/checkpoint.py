"""A checkpoint as files of less than 16 MiB each, so that it passes wherever larger ones do not.

`checkpoint.json` names its parts. It is replaced when they are all there: a kill leaves the checkpoint before.
"""

import io
import json
import os
from pathlib import Path

import torch

PART_BYTES = 15 * 2**20
INDEX = "checkpoint.json"


def is_in(folder: Path) -> bool:
    return (folder / INDEX).exists()


def save(folder: Path, state: dict) -> None:
    """`state` holds a `step`, which the index shows."""
    written = io.BytesIO()
    torch.save(state, written)
    data = written.getbuffer()
    before = parts_of(folder) if is_in(folder) else []
    turn = 1 + (int(before[0].split("-")[1]) if before else 0)
    names = []
    for number, start in enumerate(range(0, len(data), PART_BYTES)):
        names.append(f"checkpoint-{turn}-{number}.part")
        (folder / names[-1]).write_bytes(data[start : start + PART_BYTES])
    temporary = folder / f"{INDEX}.tmp"
    temporary.write_text(json.dumps({"step": state["step"], "parts": names}))
    os.replace(temporary, folder / INDEX)
    for stray in folder.glob("checkpoint-*.part"):
        if stray.name not in names:
            stray.unlink()


def parts_of(folder: Path) -> list[str]:
    return json.loads((folder / INDEX).read_text())["parts"]


def load(folder: Path, device: torch.device | str = "cpu") -> dict:
    """Raises FileNotFoundError where there is none, or a part of it is missing."""
    data = io.BytesIO(b"".join((folder / name).read_bytes() for name in parts_of(folder)))
    return torch.load(data, map_location=device, weights_only=True)
