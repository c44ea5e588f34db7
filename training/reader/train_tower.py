"""The vision side: a tower that writes, from pixels, the packed vectors that the language side reads.

    python -m reader.train_tower --base runs/base --corpus runs/corpus --maps runs/language/state.pt --out runs/tower --minutes 60

The loss is the unexplained share of the packed vectors, and the characters of each cell (an auxiliary head, which stays
the legibility probe). `--maps` is a state of train_language; without it, the maps as they start. Resumable.
"""

import argparse
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .base_weights import load_base
from .language_model import has_bf16
from .packing import Packing
from .run_state import RunState
from .shipped import load_state
from .sources import Documents
from .tokens import TextTokens
from .tower import CharacterHead, Tower, TowerConfig
from .tower_pages import TowerBatch, page_batches

EMBEDDING = "model.embed_tokens.weight"
HELD_OUT_BATCHES = 3


class TowerTrainer:
    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
        self.cuda = self.device.type == "cuda"
        self.half = has_bf16(self.device)
        self.tokens = TextTokens(args.base / "tokenizer.json")
        self.documents = Documents(args.corpus / "train.jsonl")
        self.held_out_documents = Documents(args.corpus / "heldout.jsonl")
        self.embedding = load_base(args.base, ("embedding",))[EMBEDDING].to(self.device)
        self.packing = Packing().to(self.device).requires_grad_(False)
        if args.maps:
            self.packing.load_state_dict(torch.load(args.maps, map_location="cpu", weights_only=True)["packing"])
        self.run = RunState(args.out, args.save_every)
        state = self.run.load()
        start = state or (load_state(args.start) if args.start else None)
        config = TowerConfig(**start["config"]) if start else TowerConfig(args.width, args.inner, args.layers, args.heads)
        torch.manual_seed(args.seed)
        self.tower, self.head = Tower(config), CharacterHead(config)
        self.step = 0
        if start:
            self.tower.load_state_dict(start["tower"])
            if "head" in start:
                self.head.load_state_dict(start["head"])
        if state:
            self.step = state["step"]
        self.tower.to(self.device)
        self.head.to(self.device)
        parameters = [*self.tower.parameters(), *self.head.parameters()]
        groups = [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": args.decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98), fused=True)
        if state and "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        if self.cuda:
            torch.backends.cuda.matmul.allow_tf32 = True
            for layer in self.tower.vision_encoder.transformer.layers:
                layer.compile(dynamic=True)
        self.stopped = False

    def losses(self, batch: TowerBatch) -> tuple[Tensor, dict[str, Tensor]]:
        batch = batch.to(self.device)
        labels = batch.characters.long()
        wanted = self.packing(self.embedding, batch.cells)
        filled = torch.zeros(batch.cells.count, device=self.device).index_fill(0, batch.cells.cell, 1.0)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            seen, merged = self.tower(batch.pixels)
            logits = self.head(merged.flatten(0, 1)).float()
        seen = seen.flatten(0, 1).float()
        mean = (wanted * filled[:, None]).sum(0) / filled.sum()
        spread = ((wanted - mean).square().sum(-1) * filled).sum()
        missed = (seen - wanted).square().sum(-1)
        unexplained = (missed * filled).sum() / spread
        blank = (missed * (1 - filled)).sum() / spread
        each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        there = (labels > 0).float()
        characters = (each * there).sum() / there.sum() + 0.5 * (each * (1 - there)).sum() / (1 - there).sum()
        with torch.no_grad():
            right = ((logits.argmax(-1) == labels) * there).sum() / there.sum()
        figures = {"unexplained": unexplained, "blank": blank, "characters_loss": characters, "characters_right": right}
        return unexplained + blank + self.args.characters * characters, {name: value.detach() for name, value in figures.items()}

    def learning_rate(self) -> float:
        warm = min(1.0, (self.step + 1) / self.args.warmup)
        cool = min(1.0, (1 - self.share()) / self.args.cooldown) if self.args.cooldown else 1.0
        return self.args.lr * warm * max(cool, 0.02)

    def share(self) -> float:
        return (time.monotonic() - self.started) / (self.args.minutes * 60) if self.args.minutes else 0.0

    def state(self) -> dict:
        weights = lambda module: {n: w.detach().cpu() for n, w in module.state_dict().items()}  # noqa: E731
        return {"tower": weights(self.tower), "head": weights(self.head), "config": self.tower.config.to_dict(), "step": self.step, "optimizer": self.optimizer.state_dict()}

    def go(self) -> None:
        args = self.args
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "stopped", True))
        drawn = page_batches(self.documents, self.tokens, args.cells, f"train-{args.seed}", self.step, args.workers, args.native)
        batches = reused(drawn, args.reuse, random.Random(self.step))
        self.started = time.monotonic()
        mean: dict[str, list[float]] = {}
        while not self.stopped and self.share() < 1:
            begun = time.monotonic()
            batch = next(batches)
            waited = time.monotonic() - begun
            loss, figures = self.losses(batch)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
            rate = self.learning_rate()
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.step += 1
            for key, value in (figures | {"norm": norm, "waited": waited, "seconds": time.monotonic() - begun}).items():
                mean.setdefault(key, []).append(value)
            if self.step % args.log_every == 0:
                self.run.log(step=self.step, lr=rate, **{k: float(sum(v)) / len(v) for k, v in mean.items()})
                mean = {}
            if self.run.due():
                self.run.save(self.state())
            if args.evaluate_every and self.step % args.evaluate_every == 0:
                self.evaluate()
        self.run.save(self.state())
        if not self.stopped:
            self.evaluate()

    @torch.no_grad()
    def evaluate(self) -> None:
        batches = page_batches(self.held_out_documents, self.tokens, self.args.cells, "heldout", 0, 0, self.args.native)
        figures = [self.losses(next(batches))[1] for _ in range(HELD_OUT_BATCHES)]
        self.run.log(step=self.step, held_out=True, **{k: float(sum(f[k] for f in figures)) / len(figures) for k in figures[0]})


def reused(drawn: Iterator[TowerBatch], times: float, rng: random.Random, most: int = 300) -> Iterator[TowerBatch]:
    """Each batch so many times, among others: drawing a page can take longer than a step that learns from it."""
    kept: list[TowerBatch] = []
    while True:
        if len(kept) < 8 or rng.random() < 1 / times:
            batch = next(drawn)
            if times > 1:
                kept = [*kept[-most + 1 :], batch]
            yield batch
        else:
            yield rng.choice(kept)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--maps", type=Path, help="state of train_language")
    parser.add_argument("--start", type=Path, help="a state, or a folder that ships, to start from")
    parser.add_argument("--native", type=float, default=0.0, help="share of the pages that are drawn as the product draws them for this reader")
    parser.add_argument("--minutes", type=float, default=60, help="0: no limit")
    parser.add_argument("--cells", type=int, default=192, help="cells in a step, about")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--inner", type=int, default=1536)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--characters", type=float, default=0.3, help="weight of the character loss")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.01)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--cooldown", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--reuse", type=float, default=1, help="how often a drawn page is learned from")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--log-every", type=int, default=20, help="steps")
    parser.add_argument("--save-every", type=float, default=300, help="seconds")
    parser.add_argument("--evaluate-every", type=int, default=500, help="steps")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_flush_denormal(True)
    TowerTrainer(args).go()


if __name__ == "__main__":
    main()
