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
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .base_weights import load_base
from .batches import KINDS, Batch, embed_seen, embed_written
from .evaluate_language import evaluate
from .language_model import LanguageModel, has_bf16
from .loader import BatchSize, draw_batches
from .mixture import Lengths, Mixture
from .packing import Packing
from .run_state import RunState
from .shipped import load_state
from .sources import Documents, Pages
from .tokens import TextTokens
from .tower import Tower, TowerConfig

def dense_at(positions: float, rise: float) -> float:
    """The curriculum: sparse pages first; from `rise` positions on, all densities."""
    return min(1.0, positions / rise) if rise else 1.0


class Trainer:
    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
        self.cuda = self.device.type == "cuda"
        self.half = has_bf16(self.device)
        self.tokens = TextTokens(args.base / "tokenizer.json")
        rows = tuple(args.rows) if args.rows else None
        pages = Pages(self.tokens, tuple(args.columns), rows, drawn=args.tower is not None, drops=args.drops, native=args.native)
        held_out = Pages(self.tokens, tuple(args.columns), rows, drawn=args.tower is not None, native=args.native)
        lengths = Lengths(args.longest, args.most, args.long_share)
        mixture = Mixture(Documents(args.corpus / "train.jsonl"), pages, args.mixture, lengths)
        self.held_out = Mixture(Documents(args.corpus / "heldout.jsonl"), held_out, args.mixture, Lengths(args.longest), held_out=True)
        self.model = LanguageModel.from_base(load_base(args.base))
        self.packing = Packing()
        self.tower: Tower | None = None
        self.run = RunState(args.out, args.save_every)
        self.step, self.positions, self.pool = 0, 0, 0
        state = self.run.load()
        start = state or (load_state(args.start) if args.start else None)
        if args.tower:
            seen = load_state(args.tower)
            self.tower = Tower(TowerConfig(**seen["config"]))
            self.tower.load_state_dict(seen["tower"])
        if start:
            self.load_weights(start)
        self.teacher = copy.deepcopy(self.model).to(self.device).eval().requires_grad_(False) if args.teacher else None
        if state:
            self.step, self.positions, self.pool = state["step"], state["positions"], state["pool"]
        self.modules = [m.to(self.device).train() for m in (self.model, self.packing, self.tower) if m is not None]
        if args.freeze_maps or self.tower:
            self.packing.requires_grad_(False)
        if args.freeze_tower:
            self.tower.requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.groups(), lr=args.lr, betas=(0.9, 0.98), fused=True)
        if state and "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        if self.cuda:
            torch.backends.cuda.matmul.allow_tf32 = True
        if self.cuda or args.compile:
            for layer in [*self.model.layers, *(self.tower.vision_encoder.transformer.layers if self.tower else [])]:
                layer.compile(dynamic=True)
        self.dense = torch.tensor(dense_at(self.positions, args.rise))
        size = BatchSize(args.micro, args.pool, padded=self.cuda, teacher=bool(args.teacher))
        self.drawn = draw_batches(mixture, size, args.seed, self.pool, self.dense, args.workers)
        self.stopped = False
        self.waited = 0.0

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
        if "packing" in state:
            self.packing.load_state_dict(state["packing"])
        if self.tower and "tower" in state and not self.args.keep_tower:
            self.tower.load_state_dict(state["tower"])

    def state(self) -> dict:
        weights = lambda module: {n: w.detach().cpu() for n, w in module.state_dict().items() if n != "embed_tokens.weight"}  # noqa: E731
        state = {"model": weights(self.model), "packing": weights(self.packing)}
        if self.tower:
            state |= {"tower": weights(self.tower), "config": self.tower.config.to_dict()}
        state |= {"step": self.step, "positions": self.positions, "pool": self.pool}
        return state | ({"optimizer": self.optimizer.state_dict()} if not self.args.without_optimizer else {})

    def batches(self) -> list[Batch]:
        """Batches that together hold about `--positions` positions."""
        self.dense.fill_(dense_at(self.positions, self.args.rise))
        out: list[Batch] = []
        begun = time.monotonic()
        while sum(b.filled for b in out) < 0.7 * self.args.positions:
            out.append(next(self.drawn))
        self.waited += time.monotonic() - begun
        self.pool = max(self.pool, *(b.pool + 1 for b in out))
        return out

    def embed(self, batch: Batch) -> Tensor:
        if self.tower:
            return embed_seen(self.model, self.tower, batch)
        return embed_written(self.model, self.packing, batch)

    def precision(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def logits(self, batch: Batch) -> Tensor:
        with self.precision():
            x = self.embed(batch)
            # Layers compile once if their input always has a gradient, though nothing may learn from it.
            x = (x.bfloat16() if self.half else x).requires_grad_(self.model.training)
            hidden = self.model(x, batch.positions)
            return self.model.logits(hidden.flatten(0, 1)[batch.targets]).float()

    def taught(self, batch: Batch, logits: Tensor) -> Tensor:
        """KL from the model that reads the text itself, on the answers about pages. Same answers, so same rows."""
        text = batch.teacher
        with torch.no_grad(), self.precision():
            x = self.teacher.embed_tokens(text.ids)
            hidden = self.teacher(x.bfloat16() if self.half else x, text.positions)
            wanted = self.teacher.logits(hidden.flatten(0, 1)[text.targets]).float().log_softmax(-1)
        return F.kl_div(logits[batch.taught].log_softmax(-1), wanted, log_target=True, reduction="sum")

    def train_step(self) -> dict[str, Tensor | float]:
        batches = self.batches()
        if self.args.int4:
            self.model.hold_int4(torch.bfloat16 if self.half else torch.float32)
        total = sum(len(b.labels) for b in batches)
        # loss, right and labels of each kind
        sums = torch.zeros(3, len(KINDS), device=self.device)
        for batch in batches:
            batch = batch.to(self.device)
            logits = self.logits(batch)
            losses = F.cross_entropy(logits, batch.labels, reduction="none")
            loss = losses.sum()
            if batch.teacher is not None:
                loss = loss + self.args.teacher * self.taught(batch, logits)
            (loss / total).backward()
            with torch.no_grad():
                right = (logits.argmax(-1) == batch.labels).float()
                sums.index_add_(1, batch.kinds, torch.stack((losses.detach(), right, torch.ones_like(right))))
            self.positions += batch.filled
        norm = torch.nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return {"lr": rate, "norm": norm.detach(), "dense": self.dense.item(), "sums": sums}

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
        noted: list[dict] = []
        begun, before = time.monotonic(), self.positions
        while not self.stopped and self.share() < 1:
            noted.append(self.train_step())
            if self.step % args.log_every == 0:
                self.log(noted, (self.positions - before) / (time.monotonic() - begun))
                noted, begun, before = [], time.monotonic(), self.positions
            if self.run.due():
                self.run.save(self.state())
            if args.evaluate_every and time.monotonic() - evaluated > args.evaluate_every:
                self.evaluate()
                evaluated = time.monotonic()
        self.run.save(self.state())
        if not self.stopped and args.evaluate_samples:
            self.evaluate()

    def log(self, noted: list[dict], rate: float) -> None:
        figures = {key: float(sum(n[key] for n in noted)) / len(noted) for key in ("lr", "norm", "dense")}
        losses, right, labels = sum(n["sums"] for n in noted).tolist()
        for kind, loss_sum, right_sum, n in zip(KINDS, losses, right, labels, strict=True):
            if n:
                figures |= {f"{kind}_loss": loss_sum / n, f"{kind}_right": right_sum / n}
        self.run.log(step=self.step, positions=self.positions, seconds=time.monotonic() - self.started, rate=rate, waited=self.waited, **figures)

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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a state, or a folder that ships, to start from")
    parser.add_argument("--tower", type=Path, help="state of train_tower: pages are seen, and the tower learns along")
    parser.add_argument("--keep-tower", action="store_true", help="start with the tower of --tower where --start has one as well")
    parser.add_argument("--native", type=float, default=0.0, help="share of the pools whose pages are drawn as the product draws them for this reader")
    parser.add_argument("--mixture", default="read", help="what to train on; see mixture.py")
    parser.add_argument("--minutes", type=float, default=60, help="0: no limit")
    parser.add_argument("--until", type=float, default=0, help="positions in all; 0: no limit")
    parser.add_argument("--positions", type=int, default=1000, help="positions in a step")
    parser.add_argument("--micro", type=int, default=600, help="positions that are computed at once")
    parser.add_argument("--longest", type=int, default=1000, help="positions in a sequence, at most")
    parser.add_argument("--most", type=int, default=0, help="positions in the longest sequences of some pools")
    parser.add_argument("--long-share", type=float, default=0.0, help="share of the pools with sequences of up to --most")
    parser.add_argument("--pool", type=int, default=4, help="batches that are drawn and sorted by length together")
    parser.add_argument("--int4", action="store_true", help="compute with int4 weights, as the model that ships (straight-through gradients)")
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
    parser.add_argument("--freeze-tower", action="store_true", help="leave the tower as it is")
    parser.add_argument("--compile", action="store_true", help="compile the layers, as on a GPU")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that draw samples")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--log-every", type=int, default=5, help="steps")
    parser.add_argument("--save-every", type=float, default=300, help="seconds")
    parser.add_argument("--without-optimizer", action="store_true", help="save the weights alone: less to write, and the next run warms up again")
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
