"""First stage: the vision tower learns to read, with the characters of every cell as labels.

The labels are the characters of each cell (slots.py). Rendered pages come from render_pages.py. Starts or resumes; stop it at any time.
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
from slots import BEFORE, CLASSES, COLS, ROWS, SLOTS, PageText

# (cell rows, cell columns, pages a step) of the cuts that training sees, and how often
CUTS = [((3, 21, 20), 45), ((6, 21, 10), 25), ((12, 21, 5), 20), ((30, 21, 2), 10)]

class PageSet:
    """The pages of one or several folders of render_pages.py, all of one size."""

    def __init__(self, *folders: Path):
        parts = [np.load(folder / "pages.npy", mmap_mode="r") for folder in folders]
        self.pages = [page for part in parts for page in part]
        self.rows = [rows for folder in folders for rows in json.loads((folder / "rows.json").read_text())]
        self.cells = (parts[0].shape[1] // CELL, parts[0].shape[2] // CELL)

    def __len__(self) -> int:
        return len(self.pages)

    def whole(self, page: int) -> tuple[np.ndarray, PageText]:
        return self.cut(page, 0, 0, *self.cells)

    def cut(self, page: int, top: int, left: int, cell_rows: int, cell_cols: int) -> tuple[np.ndarray, PageText]:
        y, x = top * CELL, left * CELL
        pixels = self.pages[page][y : y + cell_rows * CELL, x : x + cell_cols * CELL]
        rows = self.rows[page][top * ROWS : (top + cell_rows) * ROWS]
        rows = [row and row[left * COLS : (left + cell_cols) * COLS] for row in rows]
        return pixels, PageText(rows, cell_rows, cell_cols)

    def sample(self, rng: np.random.Generator, cell_rows: int, cell_cols: int, count: int):
        pixels, windows = [], []
        height, width = self.cells
        while len(pixels) < count:
            page = rng.integers(len(self))
            top, left = rng.integers(height - cell_rows + 1), rng.integers(width - cell_cols + 1)
            image, text = self.cut(page, top, left, cell_rows, cell_cols)
            if len(text.text) < cell_rows * cell_cols * 2 and rng.random() < 0.9:
                continue  # mostly empty
            pixels.append(image)
            windows.append(text.windows)
        return torch.from_numpy(np.stack(pixels)), torch.from_numpy(np.stack(windows))


def page_folders(pages: Path, kind: str) -> list[Path]:
    """All renderings of a kind; the first is the one that the reader is made for."""
    return [pages / kind, *sorted(pages.glob(f"{kind}-*"))]


class DenseHead(nn.Module):
    """Characters of a cell from its visual token: one linear layer."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.out = nn.Linear(width, SLOTS * CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.norm(tokens)).unflatten(-1, (ROWS, COLS, CLASSES))


class PatchHead(nn.Module):
    """Characters under a patch, before the last block: what one patch can hand on to another.

    A patch covers 2.5 × 1.5 characters; it is asked for the 3 × 2 that it touches.
    """

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.out = nn.Linear(width, 6 * CLASSES)

    def loss(self, patches: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = self.out(self.norm(patches)).unflatten(-1, (6, CLASSES))
        return F.cross_entropy(logits.float().flatten(0, -2), touched(labels).flatten())


def touched(labels: torch.Tensor) -> torch.Tensor:
    """Windows [B, cells, ROWS, WINDOW] → the characters of each patch [B, cells, 4, 6]."""
    slots = labels[..., BEFORE:]
    return torch.stack([slots[..., y : y + 2, 2 * x : 2 * x + 3].flatten(-2) for y in (0, 1) for x in (0, 1)], 2)


def dense_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.float().flatten(0, -2), labels[..., BEFORE:].flatten())


@torch.no_grad()
def evaluate(model: Glm4v, head: DenseHead, pages: PageSet, device: torch.device, count: int = 8) -> dict:
    """Errors on whole held-out pages: share of wrong characters where something is drawn or read."""
    model.eval()
    wrong = drawn = 0
    for page in range(min(count, len(pages))):
        pixels, text = pages.whole(page)
        tokens = model.visual(torch.from_numpy(np.ascontiguousarray(pixels))[None].to(device))
        read = head(tokens)[0].argmax(-1).cpu().numpy()
        truth = text.windows[:, :, BEFORE:]
        seen = (read != 0) | (truth != 0)
        wrong += ((read != truth) & seen).sum()
        drawn += seen.sum()
    model.train()
    return {"cer": float(wrong / drawn)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("training/runs/reader/vision"))
    parser.add_argument("--pages", type=Path, default=Path("training/runs/pages"))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--device")
    args = parser.parse_args()

    device = pick_device(args.device)
    run = Run(args.out)
    torch.manual_seed(1)
    model = Glm4v(ReaderConfig())
    model.visual.set_neighbour_heads()
    head = DenseHead(model.config.hidden_size)
    patch_head = PatchHead(model.config.vision_hidden_size)
    model.to(device), head.to(device), patch_head.to(device)
    learned = [*model.visual.parameters(), *head.parameters(), *patch_head.parameters()]
    parameters = [p for p in learned if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = run.resume(device, model=model.visual, head=head, patch_head=patch_head, optimizer=optimizer)
    train, held_out = PageSet(*page_folders(args.pages, "train")), PageSet(args.pages / "heldout")
    rng = np.random.default_rng([7, step])
    shapes, weights = zip(*CUTS)
    weights = np.array(weights) / sum(weights)
    mean_loss, started = None, time.time()
    while step < args.steps:
        cell_rows, cell_cols, count = shapes[rng.choice(len(shapes), p=weights)] if step >= 200 else (2, 5, 64)
        pixels, labels = train.sample(rng, cell_rows, cell_cols, count)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=200)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            tokens, patches = model.visual.encode(pixels.to(device))
            logits = head(tokens)
            loss = dense_loss(logits, labels.to(device))
            patch_loss = patch_head.loss(patches, labels.to(device))
        (loss + patch_loss).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        mean_loss = loss.item() if mean_loss is None else 0.95 * mean_loss + 0.05 * loss.item()
        if step % 50 == 0:
            chars = (logits.detach().argmax(-1).cpu() == labels[..., BEFORE:]).float().mean().item()
            run.log(stage="vision", step=step, loss=round(mean_loss, 4), patch_loss=round(patch_loss.item(), 4), chars=round(chars, 4), seconds_a_step=round((time.time() - started) / 50, 3))
            started = time.time()
        if step % 300 == 0:
            run.log(stage="vision", step=step, **evaluate(model, head, held_out, device, 4))
            started = time.time()
        if run.due() or step == args.steps:
            run.save(step, model=model.visual, head=head, patch_head=patch_head, optimizer=optimizer)


if __name__ == "__main__":
    main()
