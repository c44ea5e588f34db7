"""Second stage: the decoder learns to find and copy, on visual tokens that are written, not seen.

A visual token is the sum of one vector for each character of its window (slots.py, construct.py). So no
page is rendered and no vision tower runs; the tower learns the same code apart (train_align.py).

Besides the language loss, one head for each slot of a cell is told where to look: to the cell that
holds the next character if that is in its slot, else to the first token (the pointer loss); so do all
of them while an answer repeats its question. What such
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

from construct import BLOCK, PLACES, SLOT_HEADS, construct, token_code_table
from corpus import TextSource, find_texts
from model import Glm4v, ReaderConfig
from answering import answer
from prompts import Batch, Grid, embed, layout
from questions import UNKNOWN, look_up, make_page, on_page, other_question
from run_folder import Run, learning_rate, pick_device
from slots import BEFORE, CLASSES, NONE, SLOTS, WINDOW

SNIPPET = 28
READ_OUT_CELLS = 128

# From this step on: (grid of a document, documents a step, questions a document), and how often
CURRICULUM = [
    (0, [(Grid(6, 21), 3, 8, 1), (Grid(12, 21), 2, 9, 2)]),
    (200, [(Grid(12, 21), 2, 9, 1), (Grid(30, 21), 1, 16, 2)]),
    (800, [(Grid(12, 21), 2, 9, 2), (Grid(30, 21), 1, 16, 5), (Grid(15, 21, pages=2), 1, 16, 1), (Grid(30, 21, pages=2), 1, 16, 1)]),
]
LOOK_UPS = 0.55
EVALUATED = [Grid(12, 21), Grid(30, 21)]
# Share of the code's variance that is added as noise, and of characters that are misread: the tower is never exact.
CODE_NOISE = 0.1
MISREAD = 0.015


class TokenCode(nn.Module):
    """The visual tokens of windows as construct.py lays them out: a sum of vectors, one for each place and character."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("table", token_code_table(width), persistent=False)
        self.register_buffer("base", torch.arange(PLACES) * (CLASSES + 1), persistent=False)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """windows [B, cells, ROWS, WINDOW] → [B, cells, width]"""
        index = said(windows).flatten(2) + self.base
        return F.embedding_bag(index.flatten(0, 1), self.table, mode="sum").view(*index.shape[:2], -1)


def said(windows: torch.Tensor) -> torch.Tensor:
    """A token says the characters of its own cell; those before it are in the tokens of the two cells to the left."""
    own = windows.clone()
    own[..., :BEFORE] = NONE
    return own


def misread(windows: torch.Tensor, share: float) -> torch.Tensor:
    """Some characters become others, as the tower takes them; spaces stay."""
    wrong = (torch.rand(windows.shape, device=windows.device) < share) & (windows != 0)
    return torch.where(wrong, torch.randint_like(windows, 1, CLASSES), windows)


class QuestionMaker:
    def __init__(self, source: TextSource):
        self.source = source

    def document(self, rng: random.Random, grid: Grid, groups: int):
        """Windows [pages · cells, ROWS, WINDOW] and the questions."""
        windows, asked = [], []
        capacity = max(1, grid.cells * SLOTS // 160)
        subjects: set[str] = set()
        wanted = round(groups * LOOK_UPS * (0.5 + rng.random()) / grid.pages)
        share = -(-groups // grid.pages)
        for number in range(grid.pages):
            page, facts = make_page(self.source, rng, grid.rows, grid.cols, min(wanted, capacity))
            subjects |= {fact.subject for fact, _ in facts}
            questions = [look_up(page, fact, at) for fact, at in facts][:share]
            while len(questions) < share:
                questions.append(other_question(page, rng, subjects, SNIPPET))
            windows.append(page.windows)
            asked += [on_page(question, number * grid.cells * SLOTS) for question in questions]
        return np.concatenate(windows), asked[:groups]

    def batch(self, rng: random.Random, grid: Grid, documents: int, groups: int):
        made = [self.document(rng, grid, groups) for _ in range(documents)]
        return np.stack([windows for windows, _ in made]), Batch([asked for _, asked in made])


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
    model: Glm4v, tokens: torch.Tensor, windows: torch.Tensor, batch: Batch, grid: Grid
) -> Losses:
    """All losses of one batch; `windows` [B, pages · cells, ROWS, WINDOW] is what the tokens say."""
    device = tokens.device
    positions, blocks = layout(batch, grid, device)
    rows = embed(model, tokens, batch, grid)
    hidden, watched = model(rows, positions, blocks, watch=tuple(SLOT_HEADS))
    prefix = grid.prefix
    labels = torch.from_numpy(batch.labels).to(device).flatten()
    asked = labels != -100
    logits = model.lm_head(hidden[:, prefix:].flatten(0, 1)[asked]).float()

    all_places = torch.from_numpy(batch.places).to(device)
    told = all_places != UNKNOWN
    places = all_places[told]
    somewhere = places >= 0
    slot, column = places % SLOTS, grid.column(places.clamp(min=0) // SLOTS)
    characters = windows[..., BEFORE:].flatten(2).flatten(0, 1) + 32
    filled = (characters != 32).any(1).nonzero()[:, 0]
    filled = filled[torch.randperm(len(filled), device=device)[:READ_OUT_CELLS]]
    columns = grid.column(torch.arange(windows.shape[1], device=device))
    pointer = read_out = torch.zeros((), device=device)
    found = torch.zeros(len(places), dtype=torch.bool, device=device)
    for (layer, slots), (q, k, v) in zip(SLOT_HEADS.items(), watched):
        first, heads = slots.start, len(slots)
        scores = (q[:, :heads, prefix:] @ k[:, :heads, :prefix].transpose(-1, -2)).float() * q.shape[-1] ** -0.5
        scores = scores.permute(0, 2, 1, 3)[told]  # [N, heads, prefix]
        mine = ((slot - first)[:, None] == torch.arange(heads, device=device)) & somewhere[:, None]
        target = torch.where(mine, column[:, None], 0)
        losses = F.cross_entropy(scores.flatten(0, 1), target.flatten(), reduction="none").view(mine.shape)
        pointer = pointer + (losses[mine].sum() + 0.3 * losses[~mine].sum()) / max(1, len(places))
        found |= (mine & (scores.argmax(-1) == target)).any(1)
        values = v[:, :heads, columns].transpose(1, 2).flatten(0, 1)  # [cells, heads, head_dim]
        read = model.read_through(layer, values[filled]).float()
        read_out = read_out + F.cross_entropy(read.flatten(0, 1), characters[filled][:, first : first + heads].flatten())
    weights = torch.from_numpy(batch.weights).to(device).flatten()[asked]
    language = F.cross_entropy(logits, labels[asked], reduction="none")
    return Losses(
        language=(language * weights).sum() / weights.sum(),
        pointer=pointer,
        read_out=read_out,
        asked=asked,
        right=logits.argmax(-1) == labels[asked],
        pointer_right=found[somewhere].float().mean(),
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
            if question.kind == "continue":
                first, last = question.value
                found.setdefault("continued_chars", []).append(good[first:last].mean())
            elif question.value:
                first, last = question.value
                found.setdefault("value_chars", []).append(good[first:last].mean())
                found.setdefault("value_first", []).append(float(good[first]))
                found.setdefault("value_exact", []).append(float(good[first:last].all()))
    return found


@torch.no_grad()
def evaluate(model: Glm4v, code: TokenCode, maker: QuestionMaker, grid: Grid, documents: int, device) -> dict:
    """Held-out figures: with the right beginning given, and (`free`) with the model left to itself."""
    rng = random.Random(f"evaluate-{grid}")
    torch.manual_seed(documents)
    totals: dict[str, list[float]] = {}
    for n in range(documents):
        windows, batch = maker.batch(rng, grid, 1, 14)
        windows = torch.from_numpy(windows).to(device)
        tokens = code(misread(windows, MISREAD))
        losses = answer_losses(model, tokens, windows, batch, grid)
        right = np.zeros(batch.ids.size, bool)
        right[losses.asked.cpu().numpy()] = losses.right.cpu().numpy()
        totals.setdefault("pointer", []).append(losses.pointer_right.item())
        for name, values in score(batch, right.reshape(batch.ids.shape)).items():
            totals.setdefault(name, []).extend(values)
        if n < 2:
            for name, values in free_running(model, tokens, batch, grid).items():
                totals.setdefault(name, []).extend(values)
    result = {name: round(float(np.mean(values)), 4) for name, values in sorted(totals.items())}
    return {"grid": [grid.rows, grid.cols, grid.pages], "look_ups": len(totals.get("look-up_exact", [])), **result}


def free_running(model: Glm4v, tokens: torch.Tensor, batch: Batch, grid: Grid) -> dict[str, list[float]]:
    """Is the value in the answer to a look-up, and is an absent one called so? One document."""
    asked = [q for q in batch.questions[0] if q.kind in ("look-up", "absent")]
    if not asked:
        return {}
    wanted = [bytes(q.labels[q.value[0] : q.value[1]]).decode() for q in asked]
    found: dict[str, list[float]] = {}
    for question, value, said in zip(asked, wanted, answer(model, tokens, grid, [q.prompt for q in asked])):
        found.setdefault(f"free_{question.kind}", []).append(float(f" {value}." in said))
        if question.kind == "look-up":
            found.setdefault("free_false_not_found", []).append(float("not found" in said))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training/runs/reader/decoder"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--pointer-weight", type=float, default=0.5)
    parser.add_argument("--read-out-weight", type=float, default=0.5)
    parser.add_argument("--device")
    args = parser.parse_args()

    device = pick_device(args.device)
    run = Run(args.out)
    torch.manual_seed(2)
    model = Glm4v(ReaderConfig())
    frozen = construct(model)
    code = TokenCode(model.config.hidden_size)
    model.to(device), code.to(device)
    frozen.to(device)
    decoder = nn.ModuleDict({"decoder": model.decoder, "lm_head": model.lm_head})
    parameters = list(decoder.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    step = run.resume(device, decoder=decoder, optimizer=optimizer)
    frozen.restore()
    maker = QuestionMaker(TextSource(find_texts(held_out=False)))
    tester = QuestionMaker(TextSource(find_texts(held_out=True)))
    means: dict[str, float] = {}
    # Places that a token leaves out are easily left out.
    share = torch.tensor([0.1 * CODE_NOISE] * BEFORE + [CODE_NOISE] * (WINDOW - BEFORE)).repeat(PLACES // WINDOW)
    noise = torch.zeros(model.config.hidden_size, device=device)
    noise[: PLACES * BLOCK] = share.sqrt().repeat_interleave(BLOCK).to(device)
    started = time.time()
    while step < args.steps:
        rng = random.Random(f"train-{step}")
        shapes = [shapes for start, shapes in CURRICULUM if start <= step][-1]
        grid, documents, groups, _ = rng.choices(shapes, [shape[-1] for shape in shapes])[0]
        windows, batch = maker.batch(rng, grid, documents, groups)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=100)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            windows = misread(torch.from_numpy(windows).to(device), MISREAD)
            tokens = code(windows)
            tokens = tokens + torch.randn_like(tokens) * noise
            losses = answer_losses(model, tokens, windows, batch, grid)
        losses.total(args.pointer_weight, args.read_out_weight).backward()
        frozen.hold_gradients()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        for name, value in losses.figures().items():
            means[name] = 0.95 * means.get(name, value) + 0.05 * value
        if step % 20 == 0:
            rounded = {name: round(value, 4) for name, value in means.items()}
            run.log(stage="decoder", step=step, **rounded, seconds_a_step=round((time.time() - started) / 20, 3))
            started = time.time()
        if step % 200 == 0:
            for tested in EVALUATED:
                run.log(stage="decoder", step=step, held_out=evaluate(model, code, tester, tested, 5, device))
            started = time.time()
        if run.due() or step == args.steps:
            run.save(step, decoder=decoder, optimizer=optimizer)


if __name__ == "__main__":
    main()
