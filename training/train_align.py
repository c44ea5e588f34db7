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

from construct import BLOCK, PLACES, characters
from model import CELL, Glm4v, ReaderConfig
from run_folder import Run, learning_rate, pick_device
from slots import BEFORE, ROWS, WINDOW
from train_decoder import TokenCode
from train_vision import CUTS, PageSet, dense_loss, look_loss


class CodeReader(nn.Module):
    """Characters of a visual token by the code itself: it has nothing to learn."""

    def __init__(self):
        super().__init__()
        self.register_buffer("codes", characters(torch.Generator().manual_seed(8)), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens [..., hidden] → [..., ROWS, WINDOW, CLASSES]"""
        blocks = tokens[..., : PLACES * BLOCK].unflatten(-1, (ROWS, WINDOW, BLOCK))
        return blocks @ self.codes.T


def code_loss(tokens: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared distance as a share of the code's own variance."""
    return (tokens.float() - target).square().mean() / target.var()


@torch.no_grad()
def evaluate(model, head, code, pages: PageSet, device, count: int) -> dict:
    wrong = drawn = 0
    distances = []
    for page in range(min(count, len(pages.pixels))):
        pixels, text = pages.cut(page, 0, 0, pages.pixels.shape[1] // CELL, pages.pixels.shape[2] // CELL)
        tokens = model.visual(torch.from_numpy(np.ascontiguousarray(pixels)).to(device)[None])
        labels = torch.from_numpy(text.windows).to(device)
        filled = (labels[:, :, BEFORE:] != 0).flatten(1).any(1)
        distances.append(code_loss(tokens[0][filled], code(labels)[filled]).item())
        read = head(tokens)[0].argmax(-1)[:, :, BEFORE:]
        labels = labels[:, :, BEFORE:]
        seen = (read != 0) | (labels != 0)
        wrong += ((read != labels) & seen).sum().item()
        drawn += seen.sum().item()
    return {"cer": round(wrong / drawn, 5), "distance": round(float(np.mean(distances)), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("training/runs/reader/align"))
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
    parameters = [p for p in model.visual.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = run.resume(device, model=model.visual, optimizer=optimizer)
    if step == 0:
        start = torch.load(args.vision / "checkpoint.pt", map_location=device, weights_only=True)
        model.visual.load_state_dict(start["model"])
    train, held_out = PageSet(args.pages / "train"), PageSet(args.pages / "heldout")
    rng = np.random.default_rng([11, step])
    shapes, weights = zip(*CUTS)
    weights = np.array(weights) / sum(weights)
    means: dict[str, float] = {}
    started = time.time()
    while step < args.steps:
        pixels, labels, looks = train.sample(rng, *shapes[rng.choice(len(shapes), p=weights)])
        labels = labels.to(device)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr, warmup=100)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            tokens, _, q, k = model.visual.encode(pixels.to(device))
            line = look_loss(q, k, looks.to(device))
            dense = dense_loss(head(tokens), labels, before_weight=0.5)
        distance = code_loss(tokens, code(labels))
        (distance + 0.5 * dense + 0.2 * line).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        for name, value in (("distance", distance), ("dense", dense), ("line_loss", line)):
            means[name] = 0.95 * means.get(name, value.item()) + 0.05 * value.item()
        if step % 50 == 0:
            rounded = {name: round(value, 4) for name, value in means.items()}
            run.log(stage="align", step=step, **rounded, seconds_a_step=round((time.time() - started) / 50, 3))
            started = time.time()
        if step % 300 == 0 or step == args.steps:
            run.log(stage="align", step=step, **evaluate(model, head, code, held_out, device, 6))
            started = time.time()
        if run.due() or step == args.steps:
            run.save(step, model=model.visual, optimizer=optimizer)


if __name__ == "__main__":
    main()
