"""Samples -> padded batches on the device."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .language_model import LanguageModel
from .packing import Cells, Packing
from .samples import Page, Sample
from .tokens import IMAGE
from .tower import CELL, Tower


@dataclass
class Batch:
    """B sequences, padded at the right to T."""

    ids: Tensor
    """[B, T] int64"""
    positions: Tensor
    """[B, T]"""
    targets: Tensor
    """indices into the flattened [B, T] of the tokens that predict"""
    labels: Tensor
    samples: list[Sample]

    @property
    def size(self) -> int:
        return self.ids.numel()


def make_batch(samples: list[Sample], device: torch.device, length: int | None = None, count: int | None = None) -> Batch:
    """length, count: pads to so many positions and sequences (compiled code wants few shapes)."""
    longest = length or max(len(s.ids) for s in samples)
    ids = torch.zeros(count or len(samples), longest, dtype=torch.long)
    positions = torch.zeros_like(ids)
    targets, labels = [], []
    for i, s in enumerate(samples):
        ids[i, : len(s.ids)] = torch.tensor(s.ids)
        positions[i, : len(s.ids)] = torch.tensor(s.positions)
        for j in range(1, len(s.ids)):
            if s.learn[j]:
                targets.append(i * longest + j - 1)
                labels.append(s.ids[j])
    move = lambda t: t.to(device, non_blocking=True)  # noqa: E731
    return Batch(move(ids), move(positions), move(torch.tensor(targets)), move(torch.tensor(labels)), samples)


def embed_written(model: LanguageModel, packing: Packing, batch: Batch) -> Tensor:
    """[B, T, 576], with packed vectors where IMAGE stands."""
    with_pages = [s.page for s in batch.samples if s.page is not None]
    if not with_pages:
        return model.embed_tokens(batch.ids).float()
    vectors = packing(model.embed_tokens.weight, join_cells([page.cells for page in with_pages]))
    return put(model, batch, vectors[kept_rows(with_pages, [page.cells.count for page in with_pages])])


def embed_seen(model: LanguageModel, tower: Tower, batch: Batch) -> Tensor:
    """[B, T, 576], with what the tower sees where IMAGE stands. Pages are padded to one size with white paper."""
    with_pages = [s.page for s in batch.samples if s.page is not None]
    if not with_pages:
        return model.embed_tokens(batch.ids).float()
    pictures, starts = [], []
    for page in with_pages:
        starts.append(len(pictures))
        height = page.rows * CELL or page.pixels.shape[0]
        pictures += [page.pixels[y : y + height] for y in range(0, page.pixels.shape[0], height)]
    pixels, columns = stack_pages(pictures)
    seen, _ = tower(pixels.to(batch.ids.device))
    rows = []
    for start, page in zip(starts, with_pages, strict=True):
        of_page = page.rows * page.columns or page.cells.count
        for cell in page.kept:
            picture, cell_there = divmod(cell, of_page)
            row, column = divmod(cell_there, page.columns)
            rows.append((start + picture) * seen.shape[1] + row * columns + column)
    return put(model, batch, seen.flatten(0, 1)[torch.tensor(rows, device=seen.device)])


def stack_pages(pages: list[np.ndarray]) -> tuple[Tensor, int]:
    """uint8 [B, H, W] on white paper, and the columns of cells of it"""
    height, width = max(p.shape[0] for p in pages), max(p.shape[1] for p in pages)
    out = torch.full((len(pages), height, width), 255, dtype=torch.uint8)
    for i, page in enumerate(pages):
        out[i, : page.shape[0], : page.shape[1]] = torch.from_numpy(page)
    return out, width // CELL


def put(model: LanguageModel, batch: Batch, vectors: Tensor) -> Tensor:
    x = model.embed_tokens(batch.ids).float()
    return x.masked_scatter((batch.ids == IMAGE)[..., None], vectors.float())


def join_cells(parts: list[Cells]) -> Cells:
    whole = Cells(0, [], [], [], [], [])
    for part in parts:
        whole.cell += [whole.count + cell for cell in part.cell]
        whole.first += [whole.count + cell for cell in part.first]
        whole.row += part.row
        whole.place += part.place
        whole.token += part.token
        whole.count += part.count
    return whole


def kept_rows(pages: list[Page], counts: list[int]) -> list[int]:
    rows, start = [], 0
    for page, count in zip(pages, counts, strict=True):
        rows += [start + cell for cell in page.kept]
        start += count
    return rows
