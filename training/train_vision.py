"""First stage: the vision tower learns to read, with the characters of every cell as labels.

The labels are the characters of a cell and those that lead up to it (slots.py). Rendered pages come
from render_pages.py. Starts or resumes; stop it at any time.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from model import CELL, Glm4v, ReaderConfig
from run_folder import Run, learning_rate, pick_device
from slots import BEFORE, CLASSES, COLS, ROWS, SLOTS, WINDOW, PageText

# (cell rows, cell columns, pages a step) of the cuts that training sees, and how often
CUTS = [((3, 21, 24), 60), ((6, 21, 12), 15), ((4, 8, 48), 25)]


class PageSet:
    def __init__(self, folder: Path):
        self.pixels = np.load(folder / "pages.npy", mmap_mode="r")
        self.rows = json.loads((folder / "rows.json").read_text())

    def cut(self, page: int, top: int, left: int, cell_rows: int, cell_cols: int) -> tuple[np.ndarray, PageText]:
        y, x = top * CELL, left * CELL
        pixels = self.pixels[page, y : y + cell_rows * CELL, x : x + cell_cols * CELL]
        rows = self.rows[page][top * ROWS : (top + cell_rows) * ROWS]
        rows = [row[left * COLS : (left + cell_cols) * COLS].rstrip() for row in rows]
        return pixels, PageText(rows, cell_rows, cell_cols)

    def sample(self, rng: np.random.Generator, cell_rows: int, cell_cols: int, count: int):
        pixels, windows = [], []
        height, width = self.pixels.shape[1] // CELL, self.pixels.shape[2] // CELL
        while len(pixels) < count:
            page = rng.integers(len(self.pixels))
            top, left = rng.integers(height - cell_rows + 1), rng.integers(width - cell_cols + 1)
            image, text = self.cut(page, top, left, cell_rows, cell_cols)
            if len(text.text) < cell_rows * cell_cols * 3 and rng.random() < 0.9:
                continue  # mostly empty
            pixels.append(image)
            windows.append(text.windows)
        return torch.from_numpy(np.stack(pixels)), torch.from_numpy(np.stack(windows))


class DenseHead(nn.Module):
    """Characters of a cell from its visual token: one linear layer."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.out = nn.Linear(width, ROWS * WINDOW * CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.norm(tokens)).unflatten(-1, (ROWS, WINDOW, CLASSES))


def dense_loss(logits: torch.Tensor, labels: torch.Tensor, before_weight: float) -> torch.Tensor:
    losses = F.cross_entropy(logits.float().flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)
    inside = losses[..., BEFORE:].mean()
    return inside + before_weight * losses[..., :BEFORE].mean() if before_weight else inside


@torch.no_grad()
def evaluate(model: Glm4v, head: DenseHead, pages: PageSet, device: torch.device, count: int = 8) -> dict:
    """Errors on whole held-out pages: share of wrong characters where something is drawn or read."""
    model.eval()
    wrong = drawn = wrong_before = total_before = 0
    for page in range(min(count, len(pages.pixels))):
        pixels, text = pages.cut(page, 0, 0, pages.pixels.shape[1] // CELL, pages.pixels.shape[2] // CELL)
        tokens = model.visual(torch.from_numpy(np.ascontiguousarray(pixels))[None].to(device))
        read = head(tokens)[0].argmax(-1).cpu().numpy()
        labels = text.windows
        inside, truth = read[:, :, BEFORE:], labels[:, :, BEFORE:]
        seen = (inside != 0) | (truth != 0)
        wrong += ((inside != truth) & seen).sum()
        drawn += seen.sum()
        seen = labels[:, :, :BEFORE] != 0
        wrong_before += ((read[:, :, :BEFORE] != labels[:, :, :BEFORE]) & seen).sum()
        total_before += seen.sum()
    model.train()
    return {"cer": float(wrong / drawn), "cer_before": float(wrong_before / total_before)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("training/runs/vision"))
    parser.add_argument("--pages", type=Path, default=Path("training/runs/pages"))
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--device")
    args = parser.parse_args()

    device = pick_device(args.device)
    run = Run(args.out)
    torch.manual_seed(1)
    model = Glm4v(ReaderConfig())
    head = DenseHead(model.config.hidden_size)
    model.to(device), head.to(device)
    parameters = [p for p in [*model.visual.parameters(), *head.parameters()] if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = run.resume(device, model=model.visual, head=head, optimizer=optimizer)
    train, held_out = PageSet(args.pages / "train"), PageSet(args.pages / "heldout")
    rng = np.random.default_rng([7, step])
    shapes, weights = zip(*CUTS)
    weights = np.array(weights) / sum(weights)
    mean_loss, started = None, time.time()
    while step < args.steps:
        cell_rows, cell_cols, count = shapes[rng.choice(len(shapes), p=weights)] if step >= 300 else (2, 4, 96)
        pixels, labels = train.sample(rng, cell_rows, cell_cols, count)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=200)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = head(model.visual(pixels.to(device)))
            loss = dense_loss(logits, labels.to(device), before_weight=0.0 if step < 300 else 0.5)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        mean_loss = loss.item() if mean_loss is None else 0.95 * mean_loss + 0.05 * loss.item()
        if step % 50 == 0:
            run.log(stage="vision", step=step, loss=round(mean_loss, 4), seconds_a_step=round((time.time() - started) / 50, 3))
            started = time.time()
        if step % 300 == 0:
            run.log(stage="vision", step=step, **evaluate(model, head, held_out, device, 4))
            started = time.time()
        if run.due(180) or step == args.steps:
            run.save(step, model=model.visual, head=head, optimizer=optimizer)


if __name__ == "__main__":
    main()
