"""The language side of the reader, and both sides together.

    python -m reader.train_language --base runs/base --corpus runs/corpus --out runs/language --mixture read --minutes 60
    python -m reader.train_language ... --mixture ask --start runs/language/state.pt --out runs/joint --tower runs/tower/state.pt

Without `--tower`, visual tokens are written from text (packing.py); with it, pages are drawn and seen, and the tower
learns along. Starts, or goes on where the last run stopped. On CUDA it runs in bf16 with fp32 master weights, compiled.
"""

import argparse
import copy
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .base_weights import load_base
from .batches import Batch, embed_seen, embed_written, make_batch
from .evaluate_language import evaluate
from .language_model import LanguageModel
from .loader import draw_samples
from .mixture import Mixture
from .packing import Packing
from .run_state import RunState
from .samples import Sample
from .sources import Documents, Pages
from .tokens import TextTokens
from .tower import Tower, TowerConfig

# Few lengths of sequences on CUDA, so that little is compiled.
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)


def dense_at(positions: float, rise: float) -> float:
    """The curriculum: sparse pages first; from `rise` positions on, all densities."""
    return min(1.0, positions / rise) if rise else 1.0


class Trainer:
    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
        self.cuda = self.device.type == "cuda"
        self.tokens = TextTokens(args.base / "tokenizer.json")
        rows = tuple(args.rows) if args.rows else None
        pages = Pages(self.tokens, tuple(args.columns), rows, drawn=args.tower is not None, drops=args.drops)
        held_out = Pages(self.tokens, tuple(args.columns), rows, drawn=args.tower is not None)
        self.mixture = Mixture(Documents(args.corpus / "train.jsonl"), pages, args.mixture, args.longest)
        self.held_out = Mixture(Documents(args.corpus / "heldout.jsonl"), held_out, args.mixture, args.longest, held_out=True)
        self.model = LanguageModel.from_base(load_base(args.base))
        self.packing = Packing()
        self.tower: Tower | None = None
        self.run = RunState(args.out, args.save_every)
        self.step, self.positions, self.drawn = 0, 0, 0
        state = self.run.load()
        start = state or (torch.load(args.start, map_location="cpu", weights_only=True) if args.start else None)
        if args.tower:
            seen = torch.load(args.tower, map_location="cpu", weights_only=True)
            self.tower = Tower(TowerConfig(**seen["config"]))
            self.tower.load_state_dict(seen["tower"])
        if start:
            self.load_weights(start)
        self.teacher = copy.deepcopy(self.model).to(self.device).eval().requires_grad_(False) if args.teacher else None
        if state:
            self.step, self.positions, self.drawn = state["step"], state["positions"], state["drawn"]
        self.modules = [m.to(self.device).train() for m in (self.model, self.packing, self.tower) if m is not None]
        if args.freeze_maps or self.tower:
            self.packing.requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.groups(), lr=args.lr, betas=(0.9, 0.98), fused=True)
        if state and "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        if self.cuda:
            torch.backends.cuda.matmul.allow_tf32 = True
            for layer in [*self.model.layers, *(self.tower.vision_encoder.transformer.layers if self.tower else [])]:
                layer.compile()
        self.dense = torch.tensor(dense_at(self.positions, args.rise))
        self.samples = draw_samples(self.mixture, args.seed, self.drawn, self.dense, args.workers)
        self.stopped = False

    def groups(self) -> list[dict]:
        """Matrices decay, vectors do not; `scale` is each side's share of the learning rate."""
        out = []
        for module, scale in ((self.model, 1.0), (self.packing, 1.0), (self.tower, self.args.tower_lr)):
            parameters = [p for p in module.parameters() if p.requires_grad] if module is not None else []
            for group, decay in (([p for p in parameters if p.dim() >= 2], self.args.decay), ([p for p in parameters if p.dim() < 2], 0.0)):
                if group:
                    out.append({"params": group, "weight_decay": decay, "scale": scale})
        return out

    def load_weights(self, state: dict) -> None:
        self.model.load_state_dict({"embed_tokens.weight": self.model.embed_tokens.weight, **state["model"]})
        self.packing.load_state_dict(state["packing"])
        if self.tower and "tower" in state:
            self.tower.load_state_dict(state["tower"])

    def state(self, optimizer: bool = True) -> dict:
        weights = lambda module: {n: w.detach().cpu() for n, w in module.state_dict().items() if n != "embed_tokens.weight"}  # noqa: E731
        state = {"model": weights(self.model), "packing": weights(self.packing)}
        if self.tower:
            state |= {"tower": weights(self.tower), "config": self.tower.config.to_dict()}
        state |= {"step": self.step, "positions": self.positions, "drawn": self.drawn}
        return state | ({"optimizer": self.optimizer.state_dict()} if optimizer else {})

    def batches(self) -> Iterator[Batch]:
        """Batches that together hold about `--positions` positions."""
        self.dense.fill_(dense_at(self.positions, self.args.rise))
        samples: list[Sample] = []
        while sum(len(s.ids) for s in samples) < self.args.positions:
            samples.append(next(self.samples))
        self.drawn += len(samples)
        samples.sort(key=lambda s: len(s.ids))
        while samples:
            length = next(n for n in LENGTHS if n >= len(samples[-1].ids)) if self.cuda else len(samples[-1].ids)
            count = max(1, self.args.micro // length)
            part, samples = samples[-count:], samples[:-count]
            yield make_batch(part, self.device, length if self.cuda else None, count if self.cuda else None)

    def embed(self, batch: Batch) -> Tensor:
        if self.tower:
            return embed_seen(self.model, self.tower, batch)
        return embed_written(self.model, self.packing, batch)

    def precision(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda)

    def logits(self, batch: Batch) -> Tensor:
        with self.precision():
            x = self.embed(batch)
            hidden = self.model(x.bfloat16() if self.cuda else x, batch.positions)
            return self.model.logits(hidden.flatten(0, 1)[batch.targets]).float()

    def taught(self, batch: Batch, logits: Tensor) -> Tensor:
        """KL from the model that reads the text itself, on the answers about pages. Same answers, so same rows."""
        with_teacher = [i for i, s in enumerate(batch.samples) if s.teacher is not None]
        if not with_teacher:
            return logits.new_zeros(())
        teachers = [batch.samples[i].teacher for i in with_teacher]
        text = make_batch(teachers, self.device)
        with torch.no_grad(), self.precision():
            x = self.teacher.embed_tokens(text.ids)
            hidden = self.teacher(x.bfloat16() if self.cuda else x, text.positions)
            wanted = self.teacher.logits(hidden.flatten(0, 1)[text.targets]).float().log_softmax(-1)
        row = batch.targets // batch.ids.shape[1]
        chosen = torch.isin(row, torch.tensor(with_teacher, device=row.device))
        return F.kl_div(logits[chosen].log_softmax(-1), wanted, log_target=True, reduction="sum")

    def train_step(self) -> dict[str, float]:
        batches = list(self.batches())
        total = sum(len(b.labels) for b in batches)
        sums: dict[str, list[float]] = {}
        for batch in batches:
            logits = self.logits(batch)
            losses = F.cross_entropy(logits, batch.labels, reduction="none")
            loss = losses.sum()
            if self.teacher is not None:
                loss = loss + self.args.teacher * self.taught(batch, logits)
            (loss / total).backward()
            note(sums, batch, losses.detach(), (logits.argmax(-1) == batch.labels).float())
            self.positions += sum(len(s.ids) for s in batch.samples)
        norm = torch.nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        figures: dict[str, float] = {"lr": rate, "norm": norm.item(), "dense": self.dense.item()}
        for kind, (loss_sum, right, n) in sorted(sums.items()):
            figures[f"{kind}_loss"], figures[f"{kind}_right"] = loss_sum / n, right / n
        return figures

    def learning_rate(self) -> float:
        """Warm-up, constant, and a straight fall over the last part (`--cooldown`) of the run."""
        warm = min(1.0, (self.step - self.step_started + 1) / self.args.warmup)
        cool = min(1.0, (1 - self.share()) / self.args.cooldown) if self.args.cooldown else 1.0
        return self.args.lr * warm * max(cool, 0.02)

    def share(self) -> float:
        """How much of the run is over."""
        by_time = (time.monotonic() - self.started) / (self.args.minutes * 60) if self.args.minutes else 0.0
        by_positions = self.positions / self.args.until if self.args.until else 0.0
        return max(by_time, by_positions)

    def go(self) -> None:
        args = self.args
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "stopped", True))
        self.started, self.step_started = time.monotonic(), self.step
        evaluated = time.monotonic()
        mean: dict[str, list[float]] = {}
        while not self.stopped and self.share() < 1:
            begun, before = time.monotonic(), self.positions
            figures = self.train_step()
            for key, value in figures.items():
                mean.setdefault(key, []).append(value)
            mean.setdefault("rate", []).append((self.positions - before) / (time.monotonic() - begun))
            if self.step % args.log_every == 0:
                self.run.log(step=self.step, positions=self.positions, **{k: sum(v) / len(v) for k, v in mean.items()})
                mean = {}
            if self.run.due():
                self.run.save(self.state())
            if args.evaluate_every and time.monotonic() - evaluated > args.evaluate_every:
                self.evaluate()
                evaluated = time.monotonic()
        self.run.save(self.state())
        if not self.stopped:
            self.evaluate()

    def evaluate(self) -> None:
        for module in self.modules:
            module.eval()
        dense = dense_at(self.positions, self.args.rise)
        # Every prompt has its own length: compiling for each would take longer than reading it.
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            figures = evaluate(self.model, self.embed, self.held_out, self.tokens, self.device, dense, self.args.evaluate_samples)
        self.run.log(step=self.step, positions=self.positions, held_out=True, dense=dense, **figures)
        for module in self.modules:
            module.train()


def note(sums: dict[str, list[float]], batch: Batch, losses: Tensor, right: Tensor) -> None:
    at = 0
    for s in batch.samples:
        n = sum(s.learn[1:])
        entry = sums.setdefault(s.kind, [0.0, 0.0, 0.0])
        entry[0] += losses[at : at + n].sum().item()
        entry[1] += right[at : at + n].sum().item()
        entry[2] += n
        at += n


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights of another run to start from")
    parser.add_argument("--tower", type=Path, help="state of train_tower: pages are seen, and the tower learns along")
    parser.add_argument("--mixture", default="read", help="what to train on; see mixture.py")
    parser.add_argument("--minutes", type=float, default=60, help="0: no limit")
    parser.add_argument("--until", type=float, default=0, help="positions in all; 0: no limit")
    parser.add_argument("--positions", type=int, default=1000, help="positions in a step")
    parser.add_argument("--micro", type=int, default=600, help="positions that are computed at once")
    parser.add_argument("--longest", type=int, default=1000, help="positions in a sequence, at most")
    parser.add_argument("--columns", type=int, nargs=2, default=(8, 24), help="cells to a row of a page, from and to")
    parser.add_argument("--rows", type=int, nargs=2, help="rows of cells to a page, from and to (default: one page)")
    parser.add_argument("--rise", type=float, default=300e3, help="positions until pages are as dense as they get; 0: at once")
    parser.add_argument("--drops", type=float, default=0.0, help="up to this share of the cells is left out where pages are asked about")
    parser.add_argument("--teacher", type=float, default=0.0, help="weight of the KL from the starting model reading the text")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--tower-lr", type=float, default=1.0, help="the tower's share of it")
    parser.add_argument("--decay", type=float, default=0.01)
    parser.add_argument("--warmup", type=int, default=20, help="steps")
    parser.add_argument("--cooldown", type=float, default=0.0, help="share of the run in which the rate falls")
    parser.add_argument("--freeze-maps", action="store_true", help="leave the packing's maps as they start")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that draw samples")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--log-every", type=int, default=5, help="steps")
    parser.add_argument("--save-every", type=float, default=300, help="seconds")
    parser.add_argument("--evaluate-every", type=float, default=1200, help="seconds")
    parser.add_argument("--evaluate-samples", type=int, default=6)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_flush_denormal(True)
    torch.manual_seed(args.seed)
    Trainer(args).go()


if __name__ == "__main__":
    main()
