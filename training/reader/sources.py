"""Passages of documents and the samples made from them, for the language side of the reader."""

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

from .draw import draw
from .layout import NATIVE_COLUMNS, Typography, lay_out, native_typography, pack, sample_typography
from .packing import Cells
from .samples import Page, Sample, conversation
from .tokens import TextTokens

# How often a document's kind is drawn, so that manual pages do not crowd out prose.
KIND_WEIGHTS = {"book": 5, "manual": 2, "dictionary": 2, "readme": 2, "licence": 1, "changelog": 1, "code": 1.5, "data": 0.7}
TRANSCRIBE = ["Transcribe the page.", "Write out the text.", "What does the page say?", "Read the page aloud.", "Copy the text of the page."]
GO_ON = ['Continue: "{}"', 'How does the text go on after "{}"?', 'What follows "{}"?', 'Go on from "{}"']


class Documents:
    """Documents of one split (train.jsonl or heldout.jsonl), drawn by kind."""

    def __init__(self, path: Path):
        self.by_kind: dict[str, list[dict]] = {}
        with path.open() as lines:
            for line in lines:
                document = json.loads(line)
                self.by_kind.setdefault(document["kind"], []).append(document)
        self.kinds = sorted(self.by_kind)
        self.weights = [KIND_WEIGHTS.get(kind, 1) for kind in self.kinds]

    def document(self, rng: random.Random, kinds: set[str] | None = None) -> dict:
        while True:
            kind = rng.choices(self.kinds, self.weights)[0]
            if kinds is None or kind in kinds:
                return rng.choice(self.by_kind[kind])

    def passage(self, rng: random.Random, least: int, most: int) -> str:
        """A stretch of text that starts where a line starts, cut between words."""
        text = self.document(rng)["text"]
        wanted = rng.randint(least, most)
        start = rng.randrange(max(1, len(text) - wanted))
        if start:
            line = text.rfind("\n", 0, start) + 1
            start = line if start - line < 300 else text.find(" ", start) + 1
        end = min(len(text), start + wanted)
        if end < len(text):
            end = max(text.rfind(" ", start + 20, end), text.rfind("\n", start + 20, end), start + 20)
        return text[start:end].strip("\n")


def scrambled(rng: random.Random, text: str) -> str:
    """Text that no language model can guess: its words in any order, some of them made up."""
    words = text.split()
    rng.shuffle(words)
    for i in range(len(words)):
        if rng.random() < 0.1:
            words[i] = "".join(rng.choices("0123456789abcdef", k=rng.randint(3, 12)))
    out = []
    for word in words:
        out.append(word)
        out.append("\n" if rng.random() < 0.03 else " ")
    return "".join(out).strip()


@dataclass
class Pages:
    """Lays passages out on pages of many typographies."""

    tokens: TextTokens
    columns: tuple[int, int] = (8, 24)
    rows: tuple[int, int] | None = None
    """rows of cells to a page, from and to; None: one page as tall as it must be"""
    drawn: bool = False
    """also draw them, for a tower to see"""
    drops: float = 0.0
    """up to this share of the cells with text is left out of pages that are asked about"""
    native: float = 0.0
    """share of the pools whose pages are drawn as the product draws them for this reader"""

    def of_pool(self, rng: random.Random) -> "Pages":
        """The same with one width and one height of pages."""
        one = lambda pair: (n := rng.randint(*pair), n)  # noqa: E731
        native = rng.random() < self.native
        columns = (NATIVE_COLUMNS, NATIVE_COLUMNS) if native and rng.random() < 0.6 else one(self.columns)
        return replace(self, columns=columns, rows=one(self.rows) if self.rows else None, native=float(native))

    def look(self, rng: random.Random, dense: float) -> Typography:
        if rng.random() < self.native:
            return native_typography(rng.randint(*self.columns), rng.randint(*self.rows) if self.rows else 0)
        return sample_typography(rng, dense, self.columns, self.rows)

    def page(self, rng: random.Random, text: str, dense: float, drops: bool = False) -> tuple[Page, list[int]]:
        look = self.look(rng, dense)
        ids, offsets = self.tokens.with_offsets(text)
        laid = lay_out(text, look)
        cells = pack(laid, ids, offsets, look)
        kept = kept_cells(rng, cells, self.drops * rng.random() if drops else 0.0)
        return Page(cells, look.columns, kept, draw(laid, look) if self.drawn else None, look.rows), ids


def kept_cells(rng: random.Random, cells: Cells, dropped: float = 0.0) -> list[int]:
    """Often without blank cells, as the product leaves them out."""
    if rng.random() < 0.3:
        kept = list(range(cells.count))
    else:
        kept = sorted(set(cells.cell) | (set(cells.first) if rng.random() < 0.3 else set()))
    return [cell for cell in kept if rng.random() >= dropped] if dropped else kept


class Reading:
    """Transcription and continuation of pages, and plain text."""

    def __init__(self, documents: Documents, pages: Pages, length: tuple[int, int]):
        self.documents, self.pages, self.length = documents, pages, length
        self.tokens = pages.tokens

    def text(self, rng: random.Random) -> str:
        text = self.documents.passage(rng, *self.length)
        return scrambled(rng, text) if rng.random() < 0.35 else text

    def transcription(self, rng: random.Random, dense: float) -> Sample:
        page, ids = self.pages.page(rng, self.text(rng), dense)
        return conversation(self.tokens, "transcription", page, [(self.tokens.ids(rng.choice(TRANSCRIBE)), ids)])

    def continuation(self, rng: random.Random, dense: float) -> Sample:
        page, ids = self.pages.page(rng, self.text(rng), dense)
        snippet = rng.randint(4, 10)
        start = rng.randrange(max(1, len(ids) - snippet - 8))
        quoted = self.tokens.text(ids[start : start + snippet]).strip()
        answer = ids[start + snippet : start + snippet + rng.randint(8, 48)]
        request = self.tokens.ids(rng.choice(GO_ON).format(quoted))
        return conversation(self.tokens, "continuation", page, [(request, answer)])

    def plain(self, rng: random.Random) -> Sample:
        sample = Sample("plain")
        ids = self.tokens.ids(self.documents.passage(rng, *self.length))
        sample.add(ids[:1])
        sample.add(ids[1:], learn=True)
        return sample
