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


@lru_cache(40_000)
def large_glyph(family: str, size: float, character: str) -> tuple[int, int, np.ndarray] | None:
    """(left, top, coverage 0..255), sixteen times as large, relative to the pen and the baseline."""
    font = large_font(family, size)
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    if right <= left or bottom <= top:
        return None
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font, anchor="ls")
    return left, top, np.asarray(image)


def glyph(family: str, size: float, character: str, quarter: int) -> tuple[int, int, np.ndarray] | None:
    """(left, top, coverage 0..255 in uint8) relative to the pixel of the pen and the baseline."""
    found = large_glyph(family, size, character)
    if found is None:
        return None
    left, top, large = found
    left += quarter * OVERSAMPLE // QUARTERS
    x0, y0 = left // OVERSAMPLE, top // OVERSAMPLE
    x1, y1 = -(-(left + large.shape[1]) // OVERSAMPLE), -(-(top + large.shape[0]) // OVERSAMPLE)
    whole = np.zeros(((y1 - y0) * OVERSAMPLE, (x1 - x0) * OVERSAMPLE), np.uint8)
    y, x = top - y0 * OVERSAMPLE, left - x0 * OVERSAMPLE
    whole[y : y + large.shape[0], x : x + large.shape[1]] = large
    blocks = whole.reshape(y1 - y0, OVERSAMPLE, x1 - x0, OVERSAMPLE)
    return x0, y0, (blocks.sum((1, 3), dtype=np.uint32) / OVERSAMPLE**2).round().astype(np.uint8)


class Atlas:
    """The glyphs of one typeface at one size, as pixels relative to the pen: values, and where they go."""

    def __init__(self, family: str, size: float):
        self.family, self.size = family, size
        self.index: dict[tuple[str, int], int] = {}
        self.values: list[np.ndarray] = []
        self.rows: list[np.ndarray] = []
        self.columns: list[np.ndarray] = []

    def find(self, character: str, quarter: int) -> int:
        key = (character, quarter)
        found = self.index.get(key)
        if found is None:
            drawn = glyph(self.family, self.size, character, quarter)
            left, top, mask = drawn or (0, 0, np.zeros((1, 1), np.uint8))
            y, x = mask.nonzero()
            found = self.index[key] = len(self.values)
            self.values.append(mask[y, x])
            self.rows.append((y + top).astype(np.int32))
            self.columns.append((x + left).astype(np.int32))
        return found


@lru_cache(256)
def atlas(family: str, size: float) -> Atlas:
    return Atlas(family, size)


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
    table, glyphs = advances(look.family), atlas(look.family, look.em)
    ascent, descent = ascent_descent(look.family)
    # The line box holds the type in its middle; Chromium rounds ascent and descent to whole pixels.
    up, down = nearest(ascent * look.em), nearest(descent * look.em)
    which: list[int] = []
    pens: list[int] = []
    bases: list[int] = []
    for i, row in enumerate(laid.lines):
        page, line = divmod(i, look.lines_to_a_page)
        base = page * look.rows * CELL + nearest(look.top + line * look.pitch + (look.pitch - up - down) / 2 + up)
        pen = look.margin
        for character in laid.text[row.start - row.repeated : row.end]:
            for drawn in (look.newline if character == "\n" else character):
                if drawn != " ":
                    at = int(pen * QUARTERS + 0.5)
                    which.append(glyphs.find(drawn, at % QUARTERS))
                    pens.append(at // QUARTERS)
                    bases.append(base)
                pen += table[drawn] * look.em
    return 255 - ink(glyphs, which, pens, bases, height, width)


def ink(glyphs: Atlas, which: list[int], pens: list[int], bases: list[int], height: int, width: int) -> np.ndarray:
    """uint8 [height, width], 255 where it is black. Where glyphs overlap, the darker one counts."""
    page = np.zeros(height * width, np.uint8)
    if not which:
        return page.reshape(height, width)
    sizes = np.array([len(glyphs.values[i]) for i in which])
    y = np.concatenate([glyphs.rows[i] for i in which]) + np.repeat(bases, sizes)
    x = np.concatenate([glyphs.columns[i] for i in which]) + np.repeat(pens, sizes)
    values = np.concatenate([glyphs.values[i] for i in which])
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    np.maximum.at(page, (y * width + x)[inside], values[inside])
    return page.reshape(height, width)
