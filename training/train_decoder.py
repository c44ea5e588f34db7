"""Second stage: the decoder learns to find and copy, on visual tokens that are written, not seen.

A visual token is the sum of one vector for each character of its window (slots.py, construct.py). So no
page is rendered and no vision tower runs; the tower learns the same code apart (train_align.py).

Besides the language loss, one head for each slot of a cell is told where to look: to the cell that
holds the next character if that is in its slot, else to the first token (the pointer loss). What such
a head would carry away from a cell must already say the character in its slot (the read-out loss).
"""

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from construct import BLOCK, PLACES, construct, token_code_table
from corpus import TextSource, find_texts
from model import Glm4v, ReaderConfig
from prompts import Batch, embed, layout, prefix_length
from questions import PREFIX, absent, continuation, look_up, make_page, snippet
from run_folder import Run, learning_rate, pick_device
from slots import BEFORE, CLASSES, NONE, SLOTS, written_places

POINTER_LAYERS = (1, 3)
SNIPPET = 28
READ_OUT_CELLS = 128

# (from step, cell rows, cell columns, pages a step, questions a page, share of look-ups)
CURRICULUM = [
    (0, 6, 12, 8, 7, 0.5),
    (120, 6, 21, 6, 8, 0.5),
    (300, 12, 21, 3, 10, 0.5),
    (500, 30, 21, 1, 16, 0.5),
]
# Share of the code's variance that is added as noise: the tower is never exact.
CODE_NOISE = 0.1


class TokenCode(nn.Module):
    """The visual tokens of windows as construct.py lays them out: a sum of vectors, one for each place and character."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("table", token_code_table(width), persistent=False)
        self.register_buffer("base", torch.arange(PLACES) * (CLASSES + 1), persistent=False)

    def forward(self, windows: torch.Tensor, cell_cols: int) -> torch.Tensor:
        """windows [B, cells, ROWS, WINDOW] of pages that are so many cells wide → [B, cells, width]"""
        index = said(windows, cell_cols).flatten(2) + self.base
        return F.embedding_bag(index.flatten(0, 1), self.table, mode="sum").view(*index.shape[:2], -1)


def said(windows: torch.Tensor, cell_cols: int) -> torch.Tensor:
    """Windows with NONE where a token leaves a place to the tokens on its left."""
    say = torch.from_numpy(written_places(cell_cols)).to(windows.device)
    return torch.where(say.repeat(windows.shape[1] // cell_cols, 1)[:, None], windows, NONE)


class QuestionMaker:
    def __init__(self, source: TextSource, absent_share: float = 0.0):
        self.source, self.absent_share = source, absent_share

    def batch(self, rng: random.Random, cell_rows: int, cell_cols: int, pages: int, groups: int, look_ups: float):
        windows, questions = [], []
        for _ in range(pages):
            wanted = round(groups * look_ups * (0.5 + rng.random()))
            capacity = cell_rows * cell_cols * SLOTS // 160
            page, facts = make_page(self.source, rng, cell_rows, cell_cols, min(wanted, max(1, capacity)))
            asked = [look_up(page, fact, at) for fact, at in facts][:wanted]
            subjects = {fact.subject for fact, _ in facts}
            while len(asked) < groups:
                kind = rng.random()
                if kind < self.absent_share:
                    asked.append(absent(rng, subjects))
                elif kind < 0.25:
                    asked.append(continuation(page, rng, SNIPPET + 8))
                else:
                    asked.append(snippet(page, rng, SNIPPET))
            windows.append(page.windows)
            questions.append(asked)
        return np.stack(windows), Batch(questions)


@dataclass
class Losses:
    language: torch.Tensor
    pointer: torch.Tensor
    read_out: torch.Tensor
    # which rows of the batch are answered [B · N], and whether each one is right
    asked: torch.Tensor
    right: torch.Tensor
    # share of places that the head of one layer or the other finds
    pointer_right: torch.Tensor

    def total(self, pointer_weight: float, read_out_weight: float) -> torch.Tensor:
        return self.language + pointer_weight * self.pointer + read_out_weight * self.read_out

    def figures(self) -> dict[str, float]:
        return {
            "loss": self.language.item(),
            "pointer_loss": self.pointer.item(),
            "read_out_loss": self.read_out.item(),
            "pointer": self.pointer_right.item(),
            "chars": self.right.float().mean().item(),
        }


def answer_losses(
    model: Glm4v, tokens: torch.Tensor, windows: torch.Tensor, batch: Batch, grid: tuple[int, int]
) -> Losses:
    """All losses of one batch; `windows` [B, cells, ROWS, WINDOW] is what the tokens say."""
    device = tokens.device
    positions, mask = layout(batch, *grid)
    rows = embed(model, tokens, batch)
    hidden, watched = model(rows, positions.to(device), mask.to(device), watch=POINTER_LAYERS)
    prefix = prefix_length(grid[0] * grid[1])
    labels = torch.from_numpy(batch.labels).to(device).flatten()
    asked = labels != -100
    logits = model.lm_head(hidden[:, prefix:].flatten(0, 1)[asked]).float()

    all_places = torch.from_numpy(batch.places).to(device)
    places = all_places[all_places >= 0]
    mine = F.one_hot(places % SLOTS, SLOTS).bool()
    target = torch.zeros(mine.shape, dtype=torch.long, device=device)
    target[mine] = len(PREFIX) + places // SLOTS
    characters = windows[..., BEFORE:].flatten(2).flatten(0, 1) + 32
    filled = (characters != 32).any(1).nonzero()[:, 0]
    filled = filled[torch.randperm(len(filled), device=device)[:READ_OUT_CELLS]]
    pointer = read_out = torch.zeros((), device=device)
    hits = []
    for layer, (q, k, v) in zip(POINTER_LAYERS, watched):
        scores = (q[:, :SLOTS, prefix:] @ k[:, :SLOTS, :prefix].transpose(-1, -2)).float() * q.shape[-1] ** -0.5
        scores = scores.permute(0, 2, 1, 3)[all_places >= 0]  # [N, SLOTS, prefix]
        losses = F.cross_entropy(scores.flatten(0, 1), target.flatten(), reduction="none").view(mine.shape)
        pointer = pointer + losses[mine].mean() + 0.1 * losses[~mine].view(len(places), -1).sum(1).mean()
        hits.append(scores[mine].argmax(-1) == target[mine])
        values = v[:, :SLOTS, len(PREFIX) : prefix - 1].transpose(1, 2).flatten(0, 1)  # [cells, SLOTS, head_dim]
        read = model.read_through(layer, values[filled]).float()
        read_out = read_out + F.cross_entropy(read.flatten(0, 1), characters[filled].flatten())
    return Losses(
        language=F.cross_entropy(logits, labels[asked]),
        pointer=pointer,
        read_out=read_out,
        asked=asked,
        right=logits.argmax(-1) == labels[asked],
        pointer_right=torch.stack(hits).any(0).float().mean(),
    )


def score(batch: Batch, right: np.ndarray) -> dict[str, list[float]]:
    """Per kind of question: share of right characters, and of questions answered wholly right."""
    found: dict[str, list[float]] = {}
    for b, page in enumerate(batch.questions):
        start = 0
        for question in page:
            labels = np.array(question.labels)
            good = right[b, start : start + len(labels)]
            start += len(labels)
            asked = labels != -100
            found.setdefault(f"{question.kind}_chars", []).append(good[asked].mean())
            if question.kind == "snippet":
                continue
            found.setdefault(f"{question.kind}_exact", []).append(float(good[asked].all()))
            if question.value:
                first, last = question.value
                found.setdefault("value_chars", []).append(good[first:last].mean())
                found.setdefault("value_first", []).append(float(good[first]))
                found.setdefault("value_exact", []).append(float(good[first:last].all()))
    return found


@torch.no_grad()
def evaluate(model: Glm4v, code: TokenCode, maker: QuestionMaker, grid: tuple[int, int], pages: int, device) -> dict:
    rng = random.Random(f"evaluate-{grid}")
    totals: dict[str, list[float]] = {}
    hits = []
    for _ in range(pages):
        windows, batch = maker.batch(rng, *grid, 1, 12, 0.5)
        windows = torch.from_numpy(windows).to(device)
        tokens = code(windows, grid[1])
        losses = answer_losses(model, tokens, windows, batch, grid)
        right = np.zeros(batch.ids.size, bool)
        right[losses.asked.cpu().numpy()] = losses.right.cpu().numpy()
        hits.append(losses.pointer_right.item())
        for name, values in score(batch, right.reshape(batch.ids.shape)).items():
            totals.setdefault(name, []).extend(values)
    result = {name: round(float(np.mean(values)), 4) for name, values in sorted(totals.items())}
    return {"grid": list(grid), "pointer": round(float(np.mean(hits)), 4), **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training/runs/reader/decoder"))
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--lr", type=float, default=2.5e-4)
    parser.add_argument("--pointer-weight", type=float, default=0.5)
    parser.add_argument("--read-out-weight", type=float, default=0.5)
    parser.add_argument("--device")
    parser.add_argument("--fp32", action="store_true")
    args = parser.parse_args()

    device = pick_device(args.device)
    run = Run(args.out)
    torch.manual_seed(2)
    model = Glm4v(ReaderConfig())
    construct(model)
    code = TokenCode(model.config.hidden_size)
    model.to(device), code.to(device)
    decoder = nn.ModuleDict({"decoder": model.decoder, "lm_head": model.lm_head})
    parameters = list(decoder.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = run.resume(device, decoder=decoder, optimizer=optimizer)
    maker = QuestionMaker(TextSource(find_texts(held_out=False)))
    tester = QuestionMaker(TextSource(find_texts(held_out=True)))
    means: dict[str, float] = {}
    started = time.time()
    while step < args.steps:
        _, cell_rows, cell_cols, pages, groups, look_ups = [c for c in CURRICULUM if c[0] <= step][-1]
        windows, batch = maker.batch(random.Random(f"train-{step}"), cell_rows, cell_cols, pages, groups, look_ups)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=100)
        with torch.autocast(device.type, torch.bfloat16, enabled=not args.fp32):
            windows = torch.from_numpy(windows).to(device)
            tokens = code(windows, cell_cols)
            tokens[..., : PLACES * BLOCK] += torch.randn_like(tokens[..., : PLACES * BLOCK]) * CODE_NOISE**0.5
            losses = answer_losses(model, tokens, windows, batch, (cell_rows, cell_cols))
        losses.total(args.pointer_weight, args.read_out_weight).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        for name, value in losses.figures().items():
            means[name] = 0.95 * means.get(name, value) + 0.05 * value
        if step % 20 == 0:
            rounded = {name: round(value, 4) for name, value in means.items()}
            run.log(stage="decoder", step=step, grid=[cell_rows, cell_cols], **rounded, seconds_a_step=round((time.time() - started) / 20, 3))
            started = time.time()
        if step % 100 == 0:
            run.log(stage="decoder", step=step, held_out=evaluate(model, code, tester, (cell_rows, cell_cols), 12, device))
            started = time.time()
        if run.due() or step == args.steps:
            run.save(step, decoder=decoder, optimizer=optimizer)


if __name__ == "__main__":
    main()
