"""Visual tokens that are written, not seen: the vector of a cell from the text tokens that begin in it.

A cell's vector is the sum over its tokens of W(row, place) e(token), where `row` counts the text rows of the cell
from the top and `place` the tokens that begin in that row of the cell from the left:

    W(row, place) = I + R[row] + P[place],   R, P ~ 0.35 N(0, 1/D) at the start, R[0] = P[0] = 0

Near the identity, the language model's own circuits read every token from the first step and only have to be pulled
apart; random rotations are not read after 384,000 tokens (docs/results/reader.md).
"""

import math
from dataclasses import dataclass

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

    def forward(self, embedding: Tensor, cells: Cells) -> Tensor:
        """embedding [vocabulary, 576] -> [cells, 576], fp32"""
        device = embedding.device
        array = lambda values: torch.tensor(values, dtype=torch.long, device=device)  # noqa: E731
        cell, row, place = array(cells.cell), array(cells.row), array(cells.place)
        e = embedding[array(cells.token)].float()
        count = torch.zeros(cells.count, device=device).index_add(0, cell, torch.ones(len(e), device=device))
        zeros = torch.zeros(cells.count, WIDTH, device=device)
        x = zeros.index_add(0, cell, e)
        for maps, which in ((self.row_maps, row), (self.place_maps, place)):
            for j in range(len(maps)):
                chosen = (which == j).nonzero()[:, 0]
                if len(chosen):
                    x = x.index_add(0, cell[chosen], e[chosen] @ maps[j])
        x = x / (count / 2).clamp(min=1).sqrt()[:, None] + self.mark
        if cells.first:
            x = x.index_add(0, array(cells.first), self.first_mark.expand(len(cells.first), -1))
        return x
