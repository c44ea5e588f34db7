"""Documents and questions as one batch: a document is read once, each question sees it and itself."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from questions import END, END_PAGE, PREFIX, UNKNOWN, Question


# What a token of a value (or of "not found") counts among the others: most others say what the question says.
VALUE_WEIGHT = 4.0
# The first characters of such an answer: heads that repeat a question find its place by them.
BEGINNING, BEGINNING_WEIGHT = 10, 2.0


class Batch:
    """Questions of some pages, one after the other without gaps: ids, labels, weights, places, question, offset [B, N]."""

    def __init__(self, questions: list[list[Question]]):
        length = max(sum(len(q.ids) for q in page) for page in questions)
        shape = (len(questions), length)
        self.ids = np.full(shape, END, np.int64)
        self.labels = np.full(shape, -100, np.int64)
        self.weights = np.ones(shape, np.float32)
        self.places = np.full(shape, UNKNOWN, np.int64)
        self.question = np.full(shape, -1, np.int64)
        self.offset = np.zeros(shape, np.int64)
        for b, page in enumerate(questions):
            start = 0
            for g, question in enumerate(page):
                n = len(question.ids)
                span = slice(start, start + n)
                self.ids[b, span] = question.ids
                self.labels[b, span] = question.labels
                if question.kind in ("look-up", "absent", "contested"):
                    first, last = question.value
                    answer = start + len(question.prompt) - 1
                    self.weights[b, answer : answer + BEGINNING] = BEGINNING_WEIGHT
                    self.weights[b, start + first : start + last] = VALUE_WEIGHT
                self.places[b, span] = question.places
                self.question[b, span] = g
                self.offset[b, span] = np.arange(n)
                start += n
        self.questions = questions


@dataclass(frozen=True)
class Grid:
    """The cells of a document: pages of one size."""

    rows: int
    cols: int
    pages: int = 1
    # Cells that are left of each page, ascending; None: all.
    kept: tuple[int, ...] | None = None

    @property
    def cells(self) -> int:
        """Of one page."""
        return self.rows * self.cols if self.kept is None else len(self.kept)

    @property
    def prefix(self) -> int:
        """Rows before the first question."""
        return len(PREFIX) - 1 + self.pages * (self.cells + 2)

    def column(self, cell):
        """Where a cell stands in the prefix; cells count on from page to page."""
        return len(PREFIX) + cell + 2 * (cell // self.cells)


@lru_cache(maxsize=64)
def prefix_positions(grid: Grid) -> Tensor:
    """[3, prefix]; the text after it starts one further than its largest position."""
    cell = torch.arange(grid.cells) if grid.kept is None else torch.tensor(grid.kept)
    y, x = cell // grid.cols, cell % grid.cols
    page = torch.stack([torch.zeros_like(y), y, x])
    parts = [torch.arange(len(PREFIX) - 1).expand(3, -1)]
    at = len(PREFIX) - 1
    for _ in range(grid.pages):
        end = at + 1 + max(grid.rows, grid.cols)
        parts += [torch.full((3, 1), at), at + 1 + page, torch.full((3, 1), end)]
        at = end + 1
    return torch.cat(parts, 1)


class Blocks:
    """Who sees whom: a question sees its document and what came before in itself.

    Attention is computed question by question, padded to the longest: questions need not see each other.
    """

    def __init__(self, batch: Batch, prefix: int, device: torch.device):
        documents, rows = batch.ids.shape
        questions = max(len(page) for page in batch.questions)
        longest = int(batch.offset.max()) + 1
        index = np.zeros((documents, questions, longest), np.int64)
        seen = np.zeros((documents, questions, longest), bool)
        # Rows behind the last question are of no use to anyone: they show up as its first row.
        back = np.zeros((documents, rows), np.int64)
        for b in range(documents):
            real = batch.question[b] >= 0
            question, offset = batch.question[b][real], batch.offset[b][real]
            index[b, question, offset] = b * rows + np.flatnonzero(real)
            seen[b, question, offset] = True
            back[b] = b * questions * longest
            back[b, real] += question * longest + offset
        self.prefix, self.questions = prefix, questions
        self.index, self.back = torch.from_numpy(index).to(device), torch.from_numpy(back).to(device)
        causal = np.tril(np.ones((longest, longest), bool))
        own = torch.from_numpy(seen[:, :, None] & causal).flatten(0, 1)[:, None]
        self.mask = torch.cat([torch.ones(*own.shape[:3], prefix, dtype=torch.bool), own], 3).to(device)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values [B, heads, prefix + N, d], or queries [B, heads, N, d] of the questions alone."""
        parts = []
        prefix = self.prefix
        if q.shape[2] == k.shape[2]:
            parts.append(F.scaled_dot_product_attention(q[:, :, :prefix], k[:, :, :prefix], v[:, :, :prefix], is_causal=True))
            q = q[:, :, prefix:]

        def grouped(x: Tensor) -> Tensor:
            return x.transpose(1, 2).flatten(0, 1)[self.index].flatten(0, 1).transpose(1, 2)

        def with_document(x: Tensor) -> Tensor:
            document = x[:, None, :, :prefix].expand(-1, self.questions, -1, -1, -1).flatten(0, 1)
            return torch.cat([document, grouped(x[:, :, prefix:])], 2)

        attended = F.scaled_dot_product_attention(grouped(q), with_document(k), with_document(v), attn_mask=self.mask)
        parts.append(attended.transpose(1, 2).flatten(0, 1)[self.back].transpose(1, 2))
        return torch.cat(parts, 2)


def layout(batch: Batch, grid: Grid, device: torch.device) -> tuple[Tensor, Blocks]:
    """Positions [B, 3, S], and who sees whom."""
    prefix = prefix_positions(grid)
    text = torch.from_numpy(batch.offset) + prefix.max() + 1
    positions = torch.cat([prefix.expand(len(text), -1, -1), text[:, None].expand(-1, 3, -1)], 2)
    return positions.to(device), Blocks(batch, grid.prefix, device)


def embed(model, tokens: Tensor, batch: Batch, grid: Grid) -> Tensor:
    """Rows of prefix, visual tokens and questions [B, S, hidden]; tokens [B, pages · cells, hidden]."""
    table = model.decoder.embed_tokens
    count = tokens.shape[0]

    def rows(ids: list[int]) -> Tensor:
        return table(torch.tensor(ids, device=tokens.device)).expand(count, -1, -1)

    parts = [rows(PREFIX)]
    for page, cells in enumerate(tokens.split(grid.cells, 1)):
        parts += [cells, rows(END_PAGE if page < grid.pages - 1 else END_PAGE[:1])]
    text = table(torch.from_numpy(batch.ids).to(tokens.device))
    return torch.cat([part.to(text.dtype) for part in [*parts, text]], 1)
