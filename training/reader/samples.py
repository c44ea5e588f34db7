"""Sequences to train on: page cells or text, an instruction, and what to say."""

from dataclasses import dataclass, field

import numpy as np

from .packing import Cells
from .tokens import END, IMAGE, TextTokens


@dataclass
class Page:
    """A laid-out text of one page or more, as the sequence needs it: what stands in its cells and, where pages are seen, its picture."""

    cells: Cells
    columns: int
    kept: list[int]
    """cells that stand in the sequence, in order"""
    pixels: np.ndarray | None = None
    """uint8 [28 * rows, 28 * columns]; several pages stand below each other"""
    rows: int = 0
    """cells to a column of each page but the last; 0: one page"""


@dataclass
class Sample:
    kind: str
    ids: list[int] = field(default_factory=list)
    """IMAGE where a visual token stands"""
    positions: list[int] = field(default_factory=list)
    """increasing; with gaps where visual tokens were dropped"""
    learn: list[bool] = field(default_factory=list)
    """whether the loss asks for this token"""
    page: Page | None = None
    answer_from: int = 0
    """index of the first token of the first answer"""
    behind: int = 0
    """position of what follows the page"""
    teacher: "Sample | None" = None
    """the same conversation about the text itself"""
    turns: list = field(default_factory=list)
    """questions and answers, where the sample is made of them"""

    def add(self, ids: list[int], learn: bool = False) -> None:
        start = self.positions[-1] + 1 if self.positions else 0
        self.ids += ids
        self.positions += range(start, start + len(ids))
        self.learn += [learn] * len(ids)

    def add_page(self, page: Page) -> None:
        """All cells take a position, kept or not, as in the product."""
        start = self.positions[-1] + 1 if self.positions else 0
        self.page = page
        self.ids += [IMAGE] * len(page.kept)
        self.positions += [start + cell for cell in page.kept]
        self.learn += [False] * len(page.kept)
        self.behind = start + page.cells.count

    def add_behind_page(self, ids: list[int]) -> None:
        """What follows the page counts on from its last cell, even if that was dropped."""
        self.ids += ids
        self.positions += range(self.behind, self.behind + len(ids))
        self.learn += [False] * len(ids)


def conversation(tokens: TextTokens, kind: str, source: Page | list[int], turns: list[tuple[list[int], list[int]]]) -> Sample:
    """A chat about a page, or about text (token ids): requests and answers as token ids."""
    sample = Sample(kind)
    sample.add(tokens.before_pages)
    if isinstance(source, Page):
        sample.add_page(source)
        sample.add_behind_page(tokens.after_page)
    else:
        sample.add(source)
        sample.add(tokens.between)
    for i, (request, answer) in enumerate(turns):
        if i:
            sample.add(tokens.next_turn)
        sample.add(request)
        sample.add(tokens.before_answer)
        if not i:
            sample.answer_from = len(sample.ids)
        sample.add(answer, learn=True)
        sample.add([END], learn=True)
    return sample
