"""Fourth stage: the decoder gets used to what the vision tower really sees.

Visual tokens of the rendered training pages are made once and kept; the decoder goes on as in
train_decoder.py, on cuts of them of many heights. Facts are found in the pages' own text.
"""

import argparse
import random
import re
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from corpus import Fact
from load_reader import load_reader
from model import CELL, Glm4v, ReaderConfig
from prompts import Batch
from questions import continuation, look_up, snippet
from run_folder import Run, learning_rate, pick_device
from slots import ROWS, PageText
from train_decoder import SNIPPET, answer_losses, score
from train_vision import PageSet

FACT = re.compile(r"The ((?:\S+ ){1,4}?of (?:the )?(?:\S+ ){1,3}?)is ((?:\S+ )?\S+?)\.(?= |$)")
# (cell rows, pages a step, questions a page), and how often
CUTS = [((4, 8, 6), 20), ((10, 3, 10), 40), ((30, 1, 16), 40)]


def facts_of(page: PageText) -> list[tuple[Fact, int]]:
    found = []
    for match in FACT.finditer(page.text):
        subject = match[1].rstrip()
        found.append((Fact.of(subject, match[2]), match.start()))
    texts = [fact.subject for fact, _ in found]
    return [(fact, at) for fact, at in found if texts.count(fact.subject) == 1]


class SeenPages:
    """Visual tokens of rendered pages and their texts."""

    def __init__(self, folder: Path, model: Glm4v, device: torch.device, limit: int | None = None):
        self.pages = PageSet(folder)
        count, height, width = self.pages.pixels.shape
        count = min(count, limit or count)
        self.rows, self.cols = height // CELL, width // CELL
        self.tokens = np.zeros((count, self.rows, self.cols, model.config.hidden_size), np.float16)
        model.eval()
        with torch.no_grad():
            for page in range(count):
                pixels = torch.from_numpy(np.array(self.pages.pixels[page : page + 1])).to(device)
                self.tokens[page] = model.visual(pixels)[0].view(self.rows, self.cols, -1).cpu().numpy()
        model.train()

    def batch(self, rng: random.Random, cell_rows: int, pages: int, groups: int, look_ups: float = 0.5):
        tokens, windows, questions = [], [], []
        while len(tokens) < pages:
            page = rng.randrange(len(self.tokens))
            top = rng.randrange(self.rows - cell_rows + 1)
            rows = self.pages.rows[page][top * ROWS : (top + cell_rows) * ROWS]
            text = PageText(rows, cell_rows, self.cols)
            if len(text.text) < 20 * cell_rows or len(text.text) < 4 * SNIPPET:
                continue
            facts = facts_of(text)
            rng.shuffle(facts)
            asked = [look_up(text, fact, at) for fact, at in facts[: round(groups * look_ups)]]
            while len(asked) < groups:
                make = continuation if rng.random() < 0.25 else snippet
                asked.append(make(text, rng, SNIPPET + (8 if make is continuation else 0)))
            tokens.append(torch.from_numpy(self.tokens[page, top : top + cell_rows]).flatten(0, 1))
            windows.append(torch.from_numpy(text.windows))
            questions.append(asked)
        return torch.stack(tokens).float(), torch.stack(windows), Batch(questions)


@torch.no_grad()
def evaluate(model: Glm4v, seen: SeenPages, cell_rows: int, pages: int, device) -> dict:
    rng = random.Random(f"tune-{cell_rows}")
    totals: dict[str, list[float]] = {}
    for _ in range(pages):
        tokens, windows, batch = seen.batch(rng, cell_rows, 1, 12, 0.7)
        losses = answer_losses(model, tokens.to(device), windows.to(device), batch, (cell_rows, seen.cols))
        right = np.zeros(batch.ids.size, bool)
        right[losses.asked.cpu().numpy()] = losses.right.cpu().numpy()
        totals.setdefault("pointer", []).append(losses.pointer_right.item())
        for name, values in score(batch, right.reshape(batch.ids.shape)).items():
            totals.setdefault(name, []).extend(values)
    counts = {"look_ups": len(totals.get("look-up_exact", []))}
    return {"grid": [cell_rows, seen.cols], **counts, **{k: round(float(np.mean(v)), 4) for k, v in sorted(totals.items())}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training/runs/reader/tune"))
    parser.add_argument("--decoder", type=Path, default=Path("training/runs/reader/decoder"))
    parser.add_argument("--align", type=Path, default=Path("training/runs/reader/align"))
    parser.add_argument("--pages", type=Path, default=Path("training/runs/pages"))
    parser.add_argument("--start", type=Path, help="go on from this exported reader instead of the stages before")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=2.5e-4)
    parser.add_argument("--pointer-weight", type=float, default=0.3)
    parser.add_argument("--read-out-weight", type=float, default=0.2)
    parser.add_argument("--train-pages", type=int, help="use fewer pages")
    parser.add_argument("--device")
    parser.add_argument("--fp32", action="store_true")
    args = parser.parse_args()

    device = pick_device(args.device)
    run = Run(args.out)
    torch.manual_seed(4)
    model = Glm4v(ReaderConfig()).to(device)
    parts = nn.ModuleDict({"decoder": model.decoder, "lm_head": model.lm_head})
    parameters = list(parts.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = run.resume(device, parts=parts, visual=model.visual, optimizer=optimizer)
    if step == 0 and args.start:
        model.load_state_dict(load_reader(args.start).state_dict())
    elif step == 0:
        aligned = torch.load(args.align / "checkpoint.pt", map_location=device, weights_only=True)
        model.visual.load_state_dict(aligned["model"])
    train = SeenPages(args.pages / "train", model, device, args.train_pages)
    held_out = SeenPages(args.pages / "heldout", model, device, 24)
    if step == 0 and not args.start:
        start = torch.load(args.decoder / "checkpoint.pt", map_location=device, weights_only=True)["decoder"]
        parts.load_state_dict(start)
    if step == 0:
        for rows in (4, 30):
            run.log(stage="tune", step=0, held_out=evaluate(model, held_out, rows, 12, device))
    shapes, weights = zip(*CUTS)
    means: dict[str, float] = {}
    started = time.time()
    while step < args.steps:
        rng = random.Random(f"tune-{step}")
        cell_rows, pages, groups = rng.choices(shapes, weights)[0]
        tokens, windows, batch = train.batch(rng, cell_rows, pages, groups)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=50)
        with torch.autocast(device.type, torch.bfloat16, enabled=not args.fp32):
            losses = answer_losses(model, tokens.to(device), windows.to(device), batch, (cell_rows, train.cols))
        losses.total(args.pointer_weight, args.read_out_weight).backward()
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
            for rows in (4, 30):
                run.log(stage="tune", step=step, held_out=evaluate(model, held_out, rows, 12, device))
            started = time.time()
        if run.due() or step == args.steps:
            run.save(step, parts=parts, visual=model.visual, optimizer=optimizer)


if __name__ == "__main__":
    main()
