"""Pages and questions as one batch: the page is read once, each question sees it and itself."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from questions import END, END_IMAGE, PREFIX, Question


class Batch:
    """Questions of some pages, one after the other without gaps: ids, labels, places, question and offset [B, N]."""

    def __init__(self, questions: list[list[Question]]):
        length = max(sum(len(q.ids) for q in page) for page in questions)
        shape = (len(questions), length)
        self.ids = np.full(shape, END, np.int64)
        self.labels = np.full(shape, -100, np.int64)
        self.places = np.full(shape, -1, np.int64)
        self.question = np.full(shape, -1, np.int64)
        self.offset = np.zeros(shape, np.int64)
        for b, page in enumerate(questions):
            start = 0
            for g, question in enumerate(page):
                n = len(question.ids)
                span = slice(start, start + n)
                self.ids[b, span] = question.ids
                self.labels[b, span] = question.labels
                self.places[b, span] = question.places
                self.question[b, span] = g
                self.offset[b, span] = np.arange(n)
                start += n
        self.questions = questions


def prefix_length(cells: int) -> int:
    return len(PREFIX) + cells + 1


@lru_cache(maxsize=64)
def prefix_positions(cell_rows: int, cell_cols: int) -> Tensor:
    """[3, prefix] of one page; the text after it starts one further than its largest position."""
    before, cells = len(PREFIX), cell_rows * cell_cols
    head = torch.arange(before).expand(3, -1)
    y = torch.arange(cells) // cell_cols
    x = torch.arange(cells) % cell_cols
    image = before + torch.stack([torch.zeros_like(y), y, x])
    tail = torch.full((3, 1), before + max(cell_rows, cell_cols))
    return torch.cat([head, image, tail], 1)


def layout(batch: Batch, cell_rows: int, cell_cols: int) -> tuple[Tensor, Tensor]:
    """Positions [B, 3, S] and mask [B, 1, S, S]: a question sees its page and itself."""
    prefix = prefix_positions(cell_rows, cell_cols)
    count, size = batch.ids.shape[0], prefix.shape[1]
    text = torch.from_numpy(batch.offset) + prefix.max() + 1
    positions = torch.cat([prefix.expand(count, -1, -1), text[:, None].expand(-1, 3, -1)], 2)
    group = torch.cat([torch.full((count, size), -2), torch.from_numpy(batch.question)], 1)
    same = (group[:, :, None] == group[:, None, :]) | (group[:, None, :] == -2)
    causal = torch.ones(same.shape[1:], dtype=torch.bool).tril()
    return positions, (same & causal)[:, None]


def embed(model, tokens: Tensor, batch: Batch) -> Tensor:
    """Rows of prefix, visual tokens and questions [B, S, hidden]."""
    table = model.decoder.embed_tokens
    count = tokens.shape[0]
    device = tokens.device
    head = table(torch.tensor(PREFIX, device=device)).expand(count, -1, -1)
    tail = table(torch.tensor([END_IMAGE], device=device)).expand(count, -1, -1)
    text = table(torch.from_numpy(batch.ids).to(device))
    return torch.cat([head.to(text.dtype), tokens.to(text.dtype), tail.to(text.dtype), text], 1)
