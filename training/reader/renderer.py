"""Real pages: the renderer of the product, called for one typography at a time."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .layout import CELL, Typography

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RenderedPage:
    pixels: np.ndarray
    """uint8 [H, W], sides multiples of 28"""
    start: int
    end: int
    """half-open range of the text, UTF-16 offsets"""
    lines: list[dict]
    """x, y, width, height in px; start, end"""


def render_config(look: Typography, rows: int) -> dict[str, str | float | bool]:
    """Keys of glyphpress's render configs; at 72 dpi a point is a pixel."""
    return {
        "page-size": f"{look.columns * CELL},{rows * CELL}",
        "dpi": 72,
        "margin-x": look.margin,
        "margin-y": look.top,
        "font-family": look.family,
        "font-size": look.size,
        "line-height": look.pitch,
        "alignment": "LEFT",
        "line-breaking": "anywhere" if look.anywhere else "word",
        "newline-markup": look.newline or "<br/>",
        "reflow": False,
        "grid-lock": False,
        "auto-crop-width": False,
        "auto-crop-last-page": True,
        "crop-multiple": CELL,
    }


def render(text: str, config: dict) -> list[RenderedPage]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "text.txt").write_text(text, encoding="utf-8")
        (folder / "config.json").write_text(json.dumps(config))
        command = ["node", str(ROOT / "bin" / "glyphpress.js"), "render", str(folder / "text.txt"), "-o", str(folder / "pages")]
        subprocess.run([*command, "--json", "--config", str(folder / "config.json")], check=True, stdout=subprocess.DEVNULL)
        pages = json.loads((folder / "pages" / "pages.json").read_text())["pages"]
        return [
            RenderedPage(np.asarray(Image.open(folder / "pages" / p["file"]).convert("L")), p["start"], p["end"], p["lines"])
            for p in pages
        ]
