"""Fourth stage: the decoder gets used to what the vision tower really sees.

Visual tokens of the rendered training pages are made once and kept; the decoder goes on as in
train_decoder.py, on cuts of them of many heights. Facts are found in the pages' own text.
"""

import argparse
import dataclasses
import random
import re
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import checkpoint
from construct import construct
from corpus import Fact
from load_reader import load_reader
from model import Glm4v, ReaderConfig
from prompts import Batch, Grid
from questions import UNKNOWN, look_up, on_page, other_question
from run_folder import Run, learning_rate, pick_device
from slots import ROWS, SLOTS, PageText
from train_decoder import LOOK_UPS, SNIPPET, answer_losses, free_running, score
from train_vision import PageSet, page_folders

FACT = re.compile(r"The ((?:\S+ ){1,4}?of (?:the )?(?:\S+ ){1,3}?)is ((?:\S+ )?\S+?)\.(?= |$)")
# (cell rows, pages of a document, documents a step, questions a document), and how often
CUTS = [((6, 1, 4, 8), 10), ((12, 1, 2, 10), 20), ((30, 1, 1, 16), 40), ((30, 2, 1, 16), 15), ((12, 8, 1, 16), 10), ((30, 4, 1, 16), 3)]
EVALUATED = [(30, 1)]


def facts_of(page: PageText, rng: random.Random) -> list[tuple[Fact, int]]:
    found = []
    for match in FACT.finditer(page.text):
        subject = match[1].rstrip()
        found.append((Fact.of(subject, match[2], rng), match.start()))
    texts = [fact.subject for fact, _ in found]
    return [(fact, at) for fact, at in found if texts.count(fact.subject) == 1]


class SeenPages:
    """Visual tokens of rendered pages and their texts."""

    def __init__(self, folders: list[Path], model: Glm4v, device: torch.device, limit: int | None = None):
        pages = PageSet(*folders)
        self.rows, self.cols = pages.cells
        chosen = range(0, len(pages), max(1, len(pages) // (limit or len(pages))))
        self.texts = [pages.rows[page] for page in chosen]
        self.tokens = np.zeros((len(chosen), self.rows, self.cols, model.config.hidden_size), np.float16)
        model.eval()
        with torch.no_grad():
            for place, page in enumerate(chosen):
                pixels = torch.from_numpy(np.array(pages.pages[page]))[None].to(device)
                self.tokens[place] = model.visual(pixels)[0].view(self.rows, self.cols, -1).cpu().numpy()
        model.train()

    def cut(self, rng: random.Random, cell_rows: int) -> tuple[np.ndarray, PageText]:
        """A cut that is not nearly empty."""
        while True:
            page = rng.randrange(len(self.tokens))
            top = rng.randrange(self.rows - cell_rows + 1)
            text = PageText(self.texts[page][top * ROWS : (top + cell_rows) * ROWS], cell_rows, self.cols)
            if len(text) > max(20 * cell_rows, 4 * SNIPPET):
                return self.tokens[page, top : top + cell_rows].reshape(-1, self.tokens.shape[-1]), text

    def document(self, rng: random.Random, grid: Grid, groups: int, look_ups: float = LOOK_UPS):
        """Tokens [pages · cells, hidden], windows [pages · cells, ROWS, WINDOW] and questions."""
        cuts = [self.cut(rng, grid.rows) for _ in range(grid.pages)]
        facts = [(fact, at, n) for n, (_, text) in enumerate(cuts) for fact, at in facts_of(text, rng)]
        subjects = [fact.subject for fact, _, _ in facts]
        rng.shuffle(facts)
        asked = []
        for fact, at, n in facts[: round(groups * look_ups)]:
            if subjects.count(fact.subject) == 1:
                asked.append(on_page(look_up(cuts[n][1], fact, at), n * grid.cells * SLOTS))
        while len(asked) < groups:
            n = rng.randrange(grid.pages)
            asked.append(on_page(other_question(cuts[n][1], rng, set(subjects), SNIPPET), n * grid.cells * SLOTS))
        return np.concatenate([tokens for tokens, _ in cuts]), np.concatenate([text.windows for _, text in cuts]), asked

    def batch(self, rng: random.Random, grid: Grid, documents: int, groups: int, look_ups: float = LOOK_UPS):
        tokens, windows, asked = zip(*(self.document(rng, grid, groups, look_ups) for _ in range(documents)))
        return torch.from_numpy(np.stack(tokens)).float(), torch.from_numpy(np.stack(windows)), Batch(list(asked))


def drop_cells(tokens: torch.Tensor, windows: torch.Tensor, batch: Batch, grid: Grid, share: float, rng: random.Random):
    """The same without some cells, as behind a drop by chance: what only they said is asked no more."""
    kept = sorted(rng.sample(range(grid.cells), round(grid.cells * (1 - share))))
    rows = [page * grid.cells + cell for page in range(grid.pages) for cell in kept]
    new = np.full(grid.cells * grid.pages, -1)
    new[rows] = np.arange(len(rows))
    somewhere = batch.places >= 0
    cells, slots = np.divmod(batch.places, SLOTS)
    gone = somewhere & (new[cells] < 0)
    batch.places = np.where(somewhere, new[cells] * SLOTS + slots, batch.places)
    batch.places[gone] = UNKNOWN
    batch.labels[gone] = -100
    return tokens[:, rows], windows[:, rows], batch, dataclasses.replace(grid, kept=tuple(kept))


@torch.no_grad()
def evaluate(model: Glm4v, seen: SeenPages, grid: Grid, documents: int, device) -> dict:
    rng = random.Random(f"tune-{grid}")
    totals: dict[str, list[float]] = {}
    for _ in range(documents):
        tokens, windows, batch = seen.batch(rng, grid, 1, 14, 0.8)
        tokens, windows = tokens.to(device), windows.to(device)
        losses = answer_losses(model, tokens, windows, batch, grid)
        right = np.zeros(batch.ids.size, bool)
        right[losses.asked.cpu().numpy()] = losses.right.cpu().numpy()
        totals.setdefault("pointer", []).append(losses.pointer_right.item())
        for name, values in {**score(batch, right.reshape(batch.ids.shape)), **free_running(model, tokens, batch, grid)}.items():
            totals.setdefault(name, []).extend(values)
    counts = {"look_ups": len(totals.get("look-up_exact", [])), "absent": len(totals.get("absent_exact", []))}
    figures = {k: round(float(np.mean(v)), 4) for k, v in sorted(totals.items())}
    return {"grid": [grid.rows, grid.cols, grid.pages], **counts, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training/runs/reader/tune"))
    parser.add_argument("--decoder", type=Path, default=Path("training/runs/reader/decoder"))
    parser.add_argument("--align", type=Path, default=Path("training/runs/reader/align"))
    parser.add_argument("--pages", type=Path, default=Path("training/runs/pages"))
    parser.add_argument("--start", type=Path, help="go on from this exported reader instead of the stages before")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--pointer-weight", type=float, default=0.3)
    parser.add_argument("--read-out-weight", type=float, default=0.2)
    parser.add_argument("--train-pages", type=int, help="use fewer pages")
    parser.add_argument("--drop", type=float, default=0.0, help="train with up to this share of cells dropped by chance")
    parser.add_argument("--device")
    args = parser.parse_args()

    device = pick_device(args.device)
    run = Run(args.out)
    torch.manual_seed(4)
    model = Glm4v(ReaderConfig())
    frozen = construct(model)
    model.to(device)
    frozen.to(device)
    parts = nn.ModuleDict({"decoder": model.decoder, "lm_head": model.lm_head})
    parameters = list(parts.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    step = run.resume(device, parts=parts, visual=model.visual, optimizer=optimizer)
    if step == 0 and args.start:
        model.load_state_dict(load_reader(args.start).state_dict())
    elif step == 0:
        aligned = checkpoint.load(args.align, device)
        model.visual.load_state_dict(aligned["model"])
    train = SeenPages(page_folders(args.pages, "train"), model, device, args.train_pages)
    held_out = SeenPages([args.pages / "heldout"], model, device, 24)
    if step == 0 and not args.start:
        start = checkpoint.load(args.decoder, device)["decoder"]
        parts.load_state_dict(start)

    frozen.restore()

    def test() -> None:
        for rows, pages in EVALUATED:
            run.log(stage="tune", step=step, held_out=evaluate(model, held_out, Grid(rows, held_out.cols, pages), 4, device))

    if step == 0:
        test()
    shapes, weights = zip(*CUTS)
    means: dict[str, float] = {}
    started = time.time()
    while step < args.steps:
        rng = random.Random(f"tune-{step}")
        rows, pages, documents, groups = rng.choices(shapes, weights)[0]
        grid = Grid(rows, train.cols, pages)
        tokens, windows, batch = train.batch(rng, grid, documents, groups)
        if args.drop > 0:
            tokens, windows, batch, grid = drop_cells(tokens, windows, batch, grid, rng.random() * args.drop, rng)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=50)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            losses = answer_losses(model, tokens.to(device), windows.to(device), batch, grid)
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
            run.log(stage="tune", step=step, **rounded, seconds_a_step=round((time.time() - started) / 20, 3))
            started = time.time()
        if step % 200 == 0 or step == args.steps:
            test()
            started = time.time()
        if run.due() or step == args.steps:
            run.save(step, parts=parts, visual=model.visual, optimizer=optimizer)


if __name__ == "__main__":
    main()
