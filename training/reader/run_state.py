"""What a run needs to go on: one folder, written atomically, the state before kept until the new one is whole."""

import json
import shutil
import time
from pathlib import Path

import torch


class RunState:
    def __init__(self, folder: Path, every_s: float = 300):
        self.folder, self.every_s = folder, every_s
        folder.mkdir(parents=True, exist_ok=True)
        self.saved_at = time.monotonic()

    @property
    def path(self) -> Path:
        return self.folder / "state.pt"

    def load(self) -> dict | None:
        return torch.load(self.path, map_location="cpu", weights_only=True) if self.path.exists() else None

    def due(self) -> bool:
        return time.monotonic() - self.saved_at > self.every_s

    def save(self, state: dict) -> None:
        part = self.folder / "state.pt.part"
        torch.save(state, part)
        part.rename(self.path)
        self.saved_at = time.monotonic()

    def keep(self, name: str) -> None:
        shutil.copy(self.path, self.folder / f"{name}.pt")

    def log(self, **fields) -> None:
        line = json.dumps({k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in fields.items()})
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as out:
            out.write(line + "\n")
