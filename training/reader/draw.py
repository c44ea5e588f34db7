"""Draws laid-out text as the renderer's Chromium does (unhinted, grey), without a browser: for many pages, fast.

Glyphs are drawn sixteen times as large and averaged, at quarters of a pixel, as Skia places them. `check_drawing.py`
compares the result with pages of the renderer itself.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .layout import CELL, LaidText, Typography, advances, cell_rows, font_file

OVERSAMPLE = 16
QUARTERS = 4


@lru_cache(64)
def large_font(family: str, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file(family), size * OVERSAMPLE, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(150_000)
def glyph(family: str, size: float, character: str, quarter: int) -> tuple[int, int, np.ndarray] | None:
    """(left, top, coverage 0..1) relative to the pixel of the pen and the baseline."""
    font = large_font(family, size)
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    if right <= left or bottom <= top:
        return None
    shift = quarter * OVERSAMPLE // QUARTERS
    x0, y0 = (left + shift) // OVERSAMPLE, top // OVERSAMPLE
    x1, y1 = -(-(right + shift) // OVERSAMPLE), -(-bottom // OVERSAMPLE)
    image = Image.new("L", ((x1 - x0) * OVERSAMPLE, (y1 - y0) * OVERSAMPLE))
    ImageDraw.Draw(image).text((shift - x0 * OVERSAMPLE, -y0 * OVERSAMPLE), character, fill=255, font=font, anchor="ls")
    large = np.asarray(image, dtype=np.float32) / 255
    return x0, y0, large.reshape(y1 - y0, OVERSAMPLE, x1 - x0, OVERSAMPLE).mean((1, 3))


@lru_cache(64)
def ascent_descent(family: str) -> tuple[float, float]:
    font = ImageFont.truetype(font_file(family), 1000, layout_engine=ImageFont.Layout.BASIC)
    ascent, descent = font.getmetrics()
    return ascent / 1000, descent / 1000


def nearest(x: float) -> int:
    """Halves go up."""
    return int(x + 0.5)


def draw(laid: LaidText, look: Typography, rows: int | None = None) -> np.ndarray:
    """uint8 [28 * rows, 28 * columns], white paper."""
    if rows is None:
        where = cell_rows(len(laid.lines), look)
        rows = where[-1][0] + 1 if where else 1
    height, width = rows * CELL, look.columns * CELL
    ink = np.zeros((height, width), np.float32)
    table = advances(look.family)
    ascent, descent = ascent_descent(look.family)
    # The line box holds the type in its middle; Chromium rounds ascent and descent to whole pixels.
    up, down = nearest(ascent * look.em), nearest(descent * look.em)
    for i, row in enumerate(laid.lines):
        page, line = divmod(i, look.lines_to_a_page)
        base = page * look.rows * CELL + nearest(look.top + line * look.pitch + (look.pitch - up - down) / 2 + up)
        pen = look.margin
        for character in laid.text[row.start - row.repeated : row.end]:
            for drawn in (look.newline if character == "\n" else character):
                if drawn != " ":
                    at = nearest(pen * QUARTERS)
                    found = glyph(look.family, look.em, drawn, at % QUARTERS)
                    if found:
                        left, top, mask = found
                        stamp(ink, mask, at // QUARTERS + left, base + top)
                pen += table[drawn] * look.em
    return (255 - np.clip(ink, 0, 1) * 255).round().astype(np.uint8)


def stamp(ink: np.ndarray, mask: np.ndarray, x: int, y: int) -> None:
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(ink.shape[1], x + mask.shape[1]), min(ink.shape[0], y + mask.shape[0])
    if x1 > x0 and y1 > y0:
        part = ink[y0:y1, x0:x1]
        np.maximum(part, mask[y0 - y : y1 - y, x0 - x : x1 - x], out=part)
