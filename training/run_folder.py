"""A run: a folder with a log (JSONL) and one checkpoint, replaced as a whole."""

import json
import math
import signal
import time
from pathlib import Path

import torch

import checkpoint


def pick_device(name: str | None) -> torch.device:
    # The constructed heads are so sure of themselves that their softmax is full of denormals: a third of a step's time.
    torch.set_flush_denormal(True)
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def learning_rate(step: int, steps: int, peak: float, warmup: int = 100, floor: float = 0.05) -> float:
    """Linear warm-up, then a cosine down to a share of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))


class Run:
    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.saved = time.time()
        self.spent_before = 0.0
        self.started = time.time()
        self.stopping = False
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)

    def _stop(self, *_) -> None:
        self.stopping = True

    @property
    def spent(self) -> float:
        return self.spent_before + time.time() - self.started

    def log(self, **values) -> None:
        line = json.dumps({"seconds": round(self.spent), **values})
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(line + "\n")

    def resume(self, device: torch.device, **parts) -> int:
        if not checkpoint.is_in(self.folder):
            return 0
        state = checkpoint.load(self.folder, device)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        self.spent_before = state["spent"]
        return state["step"]

    def due(self, seconds: float = 180) -> bool:
        """Time to save: now and then, and when the run is asked to stop."""
        return self.stopping or time.time() - self.saved > seconds

    def save(self, step: int, **parts) -> None:
        state = {name: part.state_dict() for name, part in parts.items()}
        checkpoint.save(self.folder, {"step": step, "spent": self.spent, **state})
        self.saved = time.time()
        if self.stopping:
            raise SystemExit(0)
