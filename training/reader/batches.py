"""Samples -> padded batches: built on the host (in worker processes, where there are some), then moved to the device."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from .language_model import LanguageModel
from .packing import Cells, CellTensors, Packing, cell_tensors
from .samples import Page, Sample
from .tokens import IMAGE
from .tower import CELL, Tower

KINDS = ("transcription", "continuation", "ask_pages", "ask_text", "ask_passages", "plain")


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
    kinds: Tensor
    """index into KINDS of each label's sample"""
    filled: int
    """positions that are no padding"""
    cells: CellTensors | None = None
    """what stands in the cells of all pages, where they are written"""
    pixels: Tensor | None = None
    """uint8 [pages, H, W], where they are seen: padded with white below and at the right"""
    kept: Tensor | None = None
    """for each visual token of the batch its index into the cells, or into the grids of the pages one after the other"""
    teacher: "Batch | None" = None
    """the same answers about the text itself"""
    taught: Tensor | None = None
    """indices of the labels that the teacher's labels are"""
    pool: int = 0

    def to(self, device: torch.device) -> "Batch":
        moved = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                moved[f.name] = value.to(device, non_blocking=True)
            elif isinstance(value, (CellTensors, Batch)):
                moved[f.name] = value.to(device)
        return replace(self, **moved)


def make_batch(samples: list[Sample], length: int | None = None, count: int | None = None, teacher: bool = False) -> Batch:
    """length, count: pads to so many positions and sequences (compiled code wants few shapes)."""
    longest = length or max(len(s.ids) for s in samples)
    ids = np.zeros((count or len(samples), longest), np.int64)
    positions = np.zeros_like(ids)
    targets, labels, kinds = [], [], []
    for i, s in enumerate(samples):
        of_sample = np.array(s.ids)
        ids[i, : len(of_sample)] = of_sample
        positions[i, : len(of_sample)] = s.positions
        learned = np.flatnonzero(s.learn[1:])
        targets.append(i * longest + learned)
        labels.append(of_sample[learned + 1])
        kinds.append(np.full(len(learned), KINDS.index(s.kind)))
    join = lambda parts: torch.from_numpy(np.concatenate(parts).astype(np.int64))  # noqa: E731
    batch = Batch(torch.from_numpy(ids), torch.from_numpy(positions), join(targets), join(labels), join(kinds), sum(len(s.ids) for s in samples))
    pages = [s.page for s in samples if s.page is not None]
    if pages and pages[0].pixels is not None:
        batch.pixels, batch.kept = see(pages)
    elif pages:
        batch.cells = cell_tensors(join_cells([page.cells for page in pages]))
        batch.kept = torch.tensor(kept_rows(pages, [page.cells.count for page in pages]))
    with_teacher = [i for i, s in enumerate(samples) if teacher and s.teacher is not None]
    if with_teacher:
        batch.teacher = make_batch([samples[i].teacher for i in with_teacher])
        of_label = np.repeat(np.arange(len(samples)), [len(part) for part in labels])
        batch.taught = torch.from_numpy(np.flatnonzero(np.isin(of_label, with_teacher)))
    return batch


def see(pages: list[Page]) -> tuple[Tensor, Tensor]:
    """Every picture of the pages on white paper of one size, and where the kept cells are in their grids."""
    pictures, starts = [], []
    for page in pages:
        starts.append(len(pictures))
        height = page.rows * CELL or page.pixels.shape[0]
        pictures += [page.pixels[y : y + height] for y in range(0, page.pixels.shape[0], height)]
    height, width = max(p.shape[0] for p in pictures), max(p.shape[1] for p in pictures)
    pixels = np.full((len(pictures), height, width), 255, np.uint8)
    for i, picture in enumerate(pictures):
        pixels[i, : picture.shape[0], : picture.shape[1]] = picture
    rows = []
    for start, page in zip(starts, pages, strict=True):
        kept = np.array(page.kept, np.int64)
        picture, cell = np.divmod(kept, page.rows * page.columns or page.cells.count)
        row, column = np.divmod(cell, page.columns)
        rows.append((start + picture) * (height // CELL) * (width // CELL) + row * (width // CELL) + column)
    return torch.from_numpy(pixels), torch.from_numpy(np.concatenate(rows))


def embed_written(model: LanguageModel, packing: Packing, batch: Batch) -> Tensor:
    """[B, T, 576], with packed vectors where IMAGE stands."""
    if batch.cells is None:
        return model.embed_tokens(batch.ids).float()
    return put(model, batch, packing(model.embed_tokens.weight, batch.cells)[batch.kept])


def embed_seen(model: LanguageModel, tower: Tower, batch: Batch) -> Tensor:
    """[B, T, 576], with what the tower says of each cell where IMAGE stands."""
    if batch.pixels is None:
        return model.embed_tokens(batch.ids).float()
    seen, _ = tower(batch.pixels)
    return put(model, batch, seen.flatten(0, 1)[batch.kept])


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
