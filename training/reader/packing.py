"""Visual tokens that are written, not seen: the vector of a cell from the text tokens that begin in it.

A cell's vector is the sum over its tokens of W(row, place) e(token), where `row` counts the text rows of the cell
from the top and `place` the tokens that begin in that row of the cell from the left:

    W(row, place) = I + R[row] + P[place],   R, P ~ 0.35 N(0, 1/D) at the start, R[0] = P[0] = 0

Near the identity, the language model's own circuits read every token from the first step and only have to be pulled
apart; random rotations are not read after 384,000 tokens (docs/results/reader.md).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .language_model import WIDTH

ROWS, PLACES = 4, 6
SPREAD = 0.35


@dataclass
class Cells:
    """The cells of one or more pages in raster order. All arrays are of one length: a token each."""

    count: int
    cell: list[int]
    row: list[int]
    place: list[int]
    token: list[int]
    """Cells in the first column of their page."""
    first: list[int]


@dataclass
class CellTensors:
    """The same as tensors, with what the packing needs worked out."""

    count: int
    cell: Tensor
    token: Tensor
    scale: Tensor
    """[count]: 1 / sqrt(tokens of the cell / 2), at most 1"""
    first: Tensor
    rows: list[Tensor]
    """for each row map the indices of its tokens"""
    places: list[Tensor]

    def to(self, device: torch.device) -> "CellTensors":
        move = lambda t: t.to(device, non_blocking=True)  # noqa: E731
        rows, places = [move(t) for t in self.rows], [move(t) for t in self.places]
        return CellTensors(self.count, move(self.cell), move(self.token), move(self.scale), move(self.first), rows, places)


def cell_tensors(cells: Cells) -> CellTensors:
    cell = np.array(cells.cell, np.int64)
    tokens_of_cell = np.bincount(cell, minlength=cells.count)
    scale = np.clip(tokens_of_cell / 2, 1, None) ** -0.5
    array = lambda values: torch.tensor(values, dtype=torch.long)  # noqa: E731
    where = lambda which, of: [torch.from_numpy(np.flatnonzero(np.array(which) == j)) for j in range(of)]  # noqa: E731
    rows, places = where(cells.row, ROWS), where(cells.place, PLACES)
    return CellTensors(cells.count, torch.from_numpy(cell), array(cells.token), torch.from_numpy(scale).float(), array(cells.first), rows, places)


class Packing(nn.Module):
    def __init__(self, seed: int = 0):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        noise = lambda n: SPREAD * torch.randn(n, WIDTH, WIDTH, generator=random) / math.sqrt(WIDTH)  # noqa: E731
        self.row_maps = nn.Parameter(noise(ROWS))
        self.place_maps = nn.Parameter(noise(PLACES))
        with torch.no_grad():
            self.row_maps[0] = 0
            self.place_maps[0] = 0
        # Every cell, and the first of each row of cells: the only signs of the grid in a sequence of vectors.
        self.mark = nn.Parameter(0.02 * torch.randn(WIDTH, generator=random))
        self.first_mark = nn.Parameter(0.1 * torch.randn(WIDTH, generator=random))

    def forward(self, embedding: Tensor, cells: CellTensors) -> Tensor:
        """embedding [vocabulary, 576] -> [cells, 576], fp32"""
        with torch.autocast(embedding.device.type, enabled=False):
            return self.packed(embedding, cells)

    def packed(self, embedding: Tensor, cells: CellTensors) -> Tensor:
        e = embedding[cells.token].float()
        x = torch.zeros(cells.count, WIDTH, device=e.device).index_add(0, cells.cell, e)
        for maps, of_map in ((self.row_maps, cells.rows), (self.place_maps, cells.places)):
            for one, chosen in zip(maps, of_map, strict=True):
                if len(chosen):
                    x = x.index_add(0, cells.cell[chosen], e[chosen] @ one)
        x = x * cells.scale[:, None] + self.mark
        return x.index_add(0, cells.first, self.first_mark.expand(len(cells.first), -1))
