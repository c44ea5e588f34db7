"""Third stage: the vision tower learns the code that the decoder reads.

Its tokens are pulled to the sum of vectors that construct.py gives for the same characters, and the
characters must be the nearest ones of that code (the legibility probe). Starts from the first stage.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import checkpoint
from construct import BLOCK, PLACES, characters
from load_reader import load_reader
from model import Glm4v, ReaderConfig
from run_folder import Run, learning_rate, pick_device
from slots import BEFORE, ROWS, SLOTS, WINDOW
from train_decoder import TokenCode
from train_vision import CUTS, PageSet, page_folders, touched


class CodeReader(nn.Module):
    """Characters of a visual token by the code itself: it has nothing to learn."""

    def __init__(self):
        super().__init__()
        self.register_buffer("codes", characters(torch.Generator().manual_seed(8)), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens [..., hidden] → [..., ROWS, WINDOW, CLASSES]"""
        blocks = tokens[..., : PLACES * BLOCK].unflatten(-1, (ROWS, WINDOW, BLOCK))
        return blocks @ self.codes.T


class PatchCode(nn.Module):
    """The same code for the six characters that a patch touches, before the last block."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.out = nn.Linear(width, 6 * BLOCK)

    def loss(self, patches: torch.Tensor, labels: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        written = self.out(self.norm(patches)).float().unflatten(-1, (6, BLOCK))
        characters = touched(labels)
        likely = F.cross_entropy((written @ codes.T).flatten(0, -2), characters.flatten())
        return likely + 0.5 * (written - codes[characters]).square().mean()


def code_loss(tokens: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared distance, as a share of the square of a character's dimension."""
    return (tokens.float() - target).square().mean() * (PLACES / SLOTS)


def said_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the characters of each cell."""
    return F.cross_entropy(logits[..., BEFORE:, :].float().flatten(0, -2), labels[..., BEFORE:].flatten())


@torch.no_grad()
def load_widened(visual: nn.Module, state: dict) -> None:
    """Weights of a tower with a narrower merger: the further hidden units start without effect."""
    for name, value in state.items():
        mine = visual.state_dict()[name]
        if mine.shape == value.shape:
            mine.copy_(value)
        elif name.endswith("down_proj.weight"):
            mine.zero_()
            mine[:, : value.shape[1]] = value
        else:
            mine[: value.shape[0]] = value


@torch.no_grad()
def evaluate(model, head, code, pages: PageSet, device, count: int) -> dict:
    wrong = drawn = 0
    distances = []
    for page in range(min(count, len(pages))):
        pixels, text = pages.whole(page)
        tokens = model.visual(torch.from_numpy(np.ascontiguousarray(pixels)).to(device)[None])
        labels = torch.from_numpy(text.windows).to(device)
        filled = (labels[:, :, BEFORE:] != 0).flatten(1).any(1)
        target = code(labels[None])[0]
        distances.append(code_loss(tokens[0][filled], target[filled]).item())
        read, labels = head(tokens)[0].argmax(-1)[:, :, BEFORE:], labels[:, :, BEFORE:]
        seen = (read != 0) | (labels != 0)
        wrong += ((read != labels) & seen).sum().item()
        drawn += seen.sum().item()
    return {"cer": round(wrong / drawn, 5), "distance": round(float(np.mean(distances)), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("training/runs/reader/align"))
    parser.add_argument("--start", type=Path, help="go on from the tower of this exported reader instead of the first stage")
    parser.add_argument("--vision", type=Path, default=Path("training/runs/reader/vision"))
    parser.add_argument("--pages", type=Path, default=Path("training/runs/pages"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--device")
    args = parser.parse_args()

    device = pick_device(args.device)
    run = Run(args.out)
    torch.manual_seed(3)
    model = Glm4v(ReaderConfig()).to(device)
    head = CodeReader().to(device)
    code = TokenCode(model.config.hidden_size).to(device)
    patch_code = PatchCode(model.config.vision_hidden_size).to(device)
    learned = [*model.visual.parameters(), *patch_code.parameters()]
    parameters = [p for p in learned if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = run.resume(device, model=model.visual, patch_code=patch_code, optimizer=optimizer)
    if step == 0 and args.start:
        model.visual.load_state_dict(load_reader(args.start).visual.state_dict())
    elif step == 0:
        start = checkpoint.load(args.vision, device)
        load_widened(model.visual, start["model"])
    train = PageSet(*page_folders(args.pages, "train"))
    held_out = {folder.name: PageSet(folder) for folder in page_folders(args.pages, "heldout")}
    rng = np.random.default_rng([11, step])
    shapes, weights = zip(*CUTS)
    weights = np.array(weights) / sum(weights)
    means: dict[str, float] = {}
    started = time.time()
    while step < args.steps:
        cell_rows, cell_cols, count = shapes[rng.choice(len(shapes), p=weights)]
        pixels, labels = train.sample(rng, cell_rows, cell_cols, count)
        labels = labels.to(device)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=100)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            tokens, patches = model.visual.encode(pixels.to(device))
            patch = patch_code.loss(patches, labels, head.codes)
            dense = said_loss(head(tokens), labels)
        distance = code_loss(tokens, code(labels))
        (distance + 0.5 * dense + patch).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        for name, value in (("distance", distance), ("dense", dense), ("patch", patch)):
            means[name] = 0.95 * means.get(name, value.item()) + 0.05 * value.item()
        if step % 50 == 0:
            rounded = {name: round(value, 4) for name, value in means.items()}
            run.log(stage="align", step=step, **rounded, seconds_a_step=round((time.time() - started) / 50, 3))
            started = time.time()
        if step % 300 == 0 or step == args.steps:
            for name, pages in held_out.items():
                run.log(stage="align", step=step, pages=name, **evaluate(model, head, code, pages, device, 6))
            started = time.time()
        if run.due() or step == args.steps:
            run.save(step, model=model.visual, patch_code=patch_code, optimizer=optimizer)


if __name__ == "__main__":
    main()
