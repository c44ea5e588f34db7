"""Pages for the tower: a picture, the tokens and the characters of its cells."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .batches import join_cells
from .draw import draw
from .layout import CELL, LaidText, Typography, advances, cell_rows, lay_out, native_typography, pack, sample_typography
from .packing import Cells, CellTensors, cell_tensors
from .sources import Documents, scrambled
from .tokens import TextTokens
from .tower import CharacterHead

# (rows, columns) of cells; every batch has one.
SHAPES = [(8, 12), (6, 16), (12, 8), (4, 24), (16, 16), (10, 24), (20, 21)]
CHARACTERS = {c: i + 2 for i, c in enumerate(CharacterHead.CHARACTERS)}


@dataclass
class TowerPage:
    pixels: np.ndarray
    """uint8 [28 * rows, 28 * columns]"""
    cells: Cells
    characters: np.ndarray
    """uint8 [cells, rows * places of CharacterHead], classes"""


@dataclass
class TowerBatch:
    pixels: Tensor
    """uint8 [B, H, W]"""
    cells: CellTensors
    characters: Tensor
    """uint8 [B * cells, rows * places of CharacterHead], classes"""

    def to(self, device: torch.device) -> "TowerBatch":
        return TowerBatch(self.pixels.to(device, non_blocking=True), self.cells.to(device), self.characters.to(device, non_blocking=True))


def batch_pages(pages: list[TowerPage]) -> TowerBatch:
    """Pages of one size."""
    stack = lambda arrays: torch.from_numpy(np.stack(arrays))  # noqa: E731
    return TowerBatch(stack([p.pixels for p in pages]), cell_tensors(join_cells([p.cells for p in pages])), stack([p.characters for p in pages]).flatten(0, 1))


def character_labels(laid: LaidText, look: Typography, rows: int) -> np.ndarray:
    labels = np.zeros((rows * look.columns, CharacterHead.ROWS, CharacterHead.PLACES), np.uint8)
    used = np.zeros((rows * look.columns, CharacterHead.ROWS), np.int64)
    table = advances(look.family)
    for (row, within), line in zip(cell_rows(len(laid.lines), look), laid.lines, strict=True):
        if row >= rows or within >= CharacterHead.ROWS:
            continue
        x = look.margin
        for character in laid.text[line.start - line.repeated : line.end]:
            for drawn in (look.newline if character == "\n" else character):
                cell = row * look.columns + min(int(x // CELL), look.columns - 1)
                place = used[cell, within]
                if drawn != " " and place < CharacterHead.PLACES:
                    labels[cell, within, place] = CHARACTERS.get(drawn, 1)
                    used[cell, within] += 1
                x += table[drawn] * look.em
    return labels.reshape(rows * look.columns, -1)


def cut(cells: Cells, count: int) -> Cells:
    inside = [i for i, cell in enumerate(cells.cell) if cell < count]
    pick = lambda values: [values[i] for i in inside]  # noqa: E731
    return Cells(count, pick(cells.cell), pick(cells.row), pick(cells.place), pick(cells.token), [first for first in cells.first if first < count])


def make_page(rng: random.Random, documents: Documents, tokens: TextTokens, shape: tuple[int, int], native: float = 0.0) -> TowerPage:
    rows, columns = shape
    look = native_typography(columns) if rng.random() < native else sample_typography(rng, rng.random(), (columns, columns))
    # About as much text as the page takes, sometimes less.
    room = rows * columns * CELL * CELL / (look.pitch * look.size * 0.55)
    text = documents.passage(rng, max(30, int(room * rng.choice((0.4, 1, 1)))), max(40, int(room * 1.1)))
    if rng.random() < 0.3:
        text = scrambled(rng, text)
    laid = lay_out(text, look)
    cells = pack(laid, *tokens.with_offsets(text), look)
    cells = cut(cells, rows * columns)
    cells.first = list(range(0, rows * columns, columns))
    return TowerPage(draw(laid, look, rows), cells, character_labels(laid, look, rows))


class DrawnPages(IterableDataset):
    """Batches of pages of one shape; batch number n, n + workers, ... of one worker."""

    def __init__(self, documents: Documents, tokens: TextTokens, cells_per_batch: int, seed: str, first: int, native: float = 0.0):
        self.documents, self.tokens, self.cells, self.seed, self.first, self.native = documents, tokens, cells_per_batch, seed, first, native

    def __iter__(self) -> Iterator[TowerBatch]:
        info = get_worker_info()
        torch.set_num_threads(1)
        number, step = (self.first + info.id, info.num_workers) if info else (self.first, 1)
        while True:
            rng = random.Random(f"{self.seed}-{number}")
            shape = rng.choice(SHAPES)
            yield batch_pages([make_page(rng, self.documents, self.tokens, shape, self.native) for _ in range(max(1, self.cells // (shape[0] * shape[1])))])
            number += step


def page_batches(documents: Documents, tokens: TextTokens, cells: int, seed: str, first: int, workers: int, native: float = 0.0) -> Iterator[TowerBatch]:
    dataset = DrawnPages(documents, tokens, cells, seed, first, native)
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=4) if workers else dataset)
