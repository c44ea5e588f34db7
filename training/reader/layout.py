"""Where text stands on a page, without drawing it: a stand-in for the renderer's span maps, for many typographies.

Lines are broken as Chromium does (greedily between words, or anywhere), with the advance widths of the bundled fonts.
`check_layout.py` compares it with the renderer's own span maps.
"""

import os
import random
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from PIL import ImageFont

from .packing import PLACES, ROWS, Cells

CELL = 28
FONTS = {
    "DejaVu Sans": "DejaVuSans.ttf",
    "DejaVu Sans Condensed": "DejaVuSansCondensed.ttf",
    "DejaVu Sans Mono": "DejaVuSansMono.ttf",
    "DejaVu Serif": "DejaVuSerif.ttf",
    "DejaVu Serif Condensed": "DejaVuSerifCondensed.ttf",
}
# `READER_FONTS` names a folder with the same files, for machines without npm.
FONT_FOLDERS = [
    Path(os.environ.get("READER_FONTS", "fonts")),
    Path(__file__).resolve().parents[2] / "node_modules" / "dejavu-fonts-ttf" / "ttf",
]
DRAWN_AT = 1000


def font_file(family: str) -> str:
    for folder in FONT_FOLDERS:
        if (folder / FONTS[family]).exists():
            return str(folder / FONTS[family])
    raise FileNotFoundError(f"{FONTS[family]} not found below any of {[str(f) for f in FONT_FOLDERS]}: run npm ci")


@lru_cache(None)
def advances(family: str) -> "dict[str, float]":
    return Advances(ImageFont.truetype(font_file(family), DRAWN_AT, layout_engine=ImageFont.Layout.BASIC))


class Advances(dict):
    """Widths in em, read when first asked for."""

    def __init__(self, font):
        super().__init__()
        self.font = font

    def __missing__(self, character: str) -> float:
        width = 0.0 if character == "\n" else self.font.getlength(character) / DRAWN_AT
        self[character] = width
        return width


@dataclass(frozen=True)
class Typography:
    family: str
    size: float
    """px"""
    pitch: float
    """px from baseline to baseline"""
    columns: int
    """cells to a row"""
    margin: float
    """px, left and right"""
    top: float
    """px above the first row"""
    anywhere: bool
    """lines break at any character instead of between words"""
    overlap: int
    """a line that goes on first repeats so many characters"""
    newline: str
    """drawn in place of a line break; "" keeps the break"""
    rows: int = 0
    """cells to a column of a page; 0: one page as tall as it must be"""

    @cached_property
    def em(self) -> float:
        """px that FreeType draws: the renderer's font string has two decimals, FreeType 64ths, both cut."""
        return int(int(self.size * 100 + 1e-6) / 100 * 64 + 1e-6) / 64

    @cached_property
    def lines_to_a_page(self) -> int:
        return max(1, int((self.rows * CELL - self.top) // self.pitch)) if self.rows else 1 << 30


def native_typography(columns: int, rows: int = 0) -> Typography:
    """How pages are drawn for this reader unless one says otherwise: `glyphpress.render` of `models/reader/config.json`."""
    return Typography("DejaVu Sans", 11, 14, columns, margin=0, top=0, anywhere=False, overlap=0, newline="", rows=rows)


NATIVE_COLUMNS = 21


def sample_typography(rng: random.Random, dense: float, columns: tuple[int, int] = (10, 36), page_rows: tuple[int, int] | None = None) -> Typography:
    """dense: 0 (two rows to a cell, wide type) to 1 (three and more rows, small type)."""
    family = rng.choice(["DejaVu Sans Mono", *FONTS])
    narrow = {"DejaVu Sans Mono": 0.62, "DejaVu Sans": 0.55, "DejaVu Serif": 0.56}.get(family, 0.5)
    rows = rng.choices((2, 2.5, 3), (1 - 0.8 * dense, 0.2 * dense, 0.6 * dense))[0]
    locked = rows in (2, 3) and rng.random() < 0.8
    pitch = CELL / rows if locked else CELL / rows * rng.uniform(0.92, 1.12)
    # px a character: the fewer, the more tokens a cell
    width = rng.uniform(5.2, 8.5 - 2.3 * dense)
    # Quarters keep the glyphs of `draw` few.
    size = int(min(width / narrow, pitch) * 4) / 4
    anywhere = rng.random() < 0.4
    return Typography(
        family=family,
        size=size,
        pitch=pitch,
        columns=rng.randint(*columns),
        margin=rng.choice((0, 0, 0, 4, 14, 28)),
        top=0 if locked else rng.choice((0, 4, 14)),
        anywhere=anywhere,
        overlap=8 if anywhere and rng.random() < 0.4 else 0,
        newline="" if rng.random() < 0.7 else rng.choice((" \u21b5 ", " \\n ", " / ")),
        rows=rng.randint(*page_rows) if page_rows else 0,
    )


@dataclass
class Line:
    start: int
    end: int
    """half-open range of the text"""
    repeated: int
    """characters before `start` that this line draws again"""


def break_lines(text: str, widths: list[float], room: float, look: Typography) -> list[Line]:
    """Widths are of each character, in px."""
    lines: list[Line] = []
    position, length, goes_on = 0, len(text), False
    while position < length:
        if text[position] == "\n" and not look.newline:
            # An empty line, or the break at the end of a full one.
            if not goes_on:
                lines.append(Line(position, position + 1, 0))
            position += 1
            goes_on = False
            continue
        repeated = min(look.overlap, position) if goes_on else 0
        used = sum(widths[position - repeated : position])
        end = position
        while end < length and (text[end] != "\n" or look.newline) and used + widths[end] <= room:
            used += widths[end]
            end += 1
        if end < length and (text[end] != "\n" or look.newline) and not look.anywhere:
            cut = end
            while cut > position and text[cut - 1] not in " -":
                cut -= 1
            if text[end] == " ":
                cut = end
            if cut > position:
                end = cut
            while end < length and text[end] == " ":
                end += 1
        end = max(end, position + 1)
        if end < length and text[end] == "\n" and not look.newline:
            lines.append(Line(position, end + 1, repeated))
            position, goes_on = end + 1, False
        else:
            lines.append(Line(position, end, repeated))
            position, goes_on = end, True
    return lines


@dataclass
class LaidText:
    text: str
    lines: list[Line]
    """x of each character of the text, from the page's left edge"""
    x: list[float]
    """index of the line of each character"""
    line: list[int]


def lay_out(text: str, look: Typography) -> LaidText:
    table = advances(look.family)
    newline = sum(table[c] for c in look.newline) * look.em
    em = look.em
    widths = [newline if c == "\n" else table[c] * em for c in text]
    lines = break_lines(text, widths, look.columns * CELL - 2 * look.margin, look)
    x, line = [0.0] * len(text), [0] * len(text)
    for i, row in enumerate(lines):
        at = look.margin + sum(widths[row.start - row.repeated : row.start])
        for j in range(row.start, row.end):
            x[j], line[j] = at, i
            at += widths[j]
    return LaidText(text, lines, x, line)


def cell_rows(lines: int, look: Typography) -> list[tuple[int, int]]:
    """(row of cells, text row within it) of every line, by the line's middle. Pages stand below each other."""
    out: list[tuple[int, int]] = []
    for i in range(lines):
        page, line = divmod(i, look.lines_to_a_page)
        row = page * look.rows + int((look.top + (line + 0.5) * look.pitch) // CELL)
        out.append((row, out[-1][1] + 1 if out and out[-1][0] == row else 0))
    return out


def pack(laid: LaidText, ids: list[int], offsets: list[tuple[int, int]], look: Typography) -> Cells:
    """The cells of one page that is cropped at its last line.

    What a line repeats of the one before is packed again, where it is drawn again.
    """
    where = cell_rows(len(laid.lines), look)
    rows = where[-1][0] + 1 if where else 0
    places: dict[tuple[int, int], int] = {}
    cells = Cells(rows * look.columns, [], [], [], [], [r * look.columns for r in range(rows)])

    def put(token: int, line: int, x: float) -> None:
        row, within = where[line]
        index = row * look.columns + min(int(x // CELL), look.columns - 1)
        place = places.get((index, within), 0)
        places[index, within] = place + 1
        cells.cell.append(index)
        cells.row.append(min(within, ROWS - 1))
        cells.place.append(min(place, PLACES - 1))
        cells.token.append(token)

    starts = [token_start(laid.text, *offset) for offset in offsets]
    line_now = -1
    for i, (token, at) in enumerate(zip(ids, starts, strict=True)):
        if laid.line[at] != line_now:
            line_now = laid.line[at]
            row = laid.lines[line_now]
            again = i
            while again > 0 and starts[again - 1] >= row.start - row.repeated:
                again -= 1
            for j in range(again, i):
                shift = sum_between(laid, starts[j], row.start, look)
                put(ids[j], line_now, laid.x[row.start] - shift)
        put(token, line_now, laid.x[at])
    return cells


def token_start(text: str, start: int, end: int) -> int:
    """A token begins at its first character that is not a space; one of spaces alone where it stands."""
    at = start
    while at < end - 1 and text[at] in " \n":
        at += 1
    return at


def sum_between(laid: LaidText, start: int, end: int, look: Typography) -> float:
    table = advances(look.family)
    return sum(table[c] * look.em for c in laid.text[start:end])
