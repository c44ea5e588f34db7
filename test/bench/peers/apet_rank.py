"""Time the authors' ApET on the CPU: choose, fit, rank, as LLaVA's encode_images does. See README.md.

Reads commands on stdin, one JSON object a line, and answers each with one line:
{"rows": N, "dim": D, "keep": K, "start": S} makes the matrix; {"threads": T} runs once; {"merge": true}
runs token_merging once. Statements are taken from the authors' files and run unchanged.
"""

import argparse
import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "training" / "fixtures"))
from authors_code import Source  # noqa: E402

BASIS = 10


def matrix(rows: int, dim: int) -> torch.Tensor:
    """The numbers that prune.bench.ts makes: integer hashes in [-1, 1), exact in float32."""
    out = np.empty((rows, dim), np.float32)
    for row in range(rows):
        i = np.arange(row * dim, (row + 1) * dim, dtype=np.uint64)
        a = (i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
        b = ((i >> np.uint64(12)) * np.uint64(40503)) & np.uint64(0xFFFFFFFF)
        out[row] = ((a ^ b) >> np.uint64(8)).astype(np.float64) / 2**23 - 1
    return torch.from_numpy(out)[None]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--apet-dir", type=Path, required=True)
    repo = parser.parse_args().apet_dir
    utils = Source(repo / "llava/model/utils.py").functions(["fps"], {"torch": torch})
    arch = Source(repo / "llava/model/llava_arch.py")
    encode = arch.find(lambda n: isinstance(n, ast.FunctionDef) and n.name == "encode_images")
    first = next(i for i, s in enumerate(encode.body) if isinstance(s, ast.If) and "dpc" in ast.unparse(s.test))
    last = next(i for i, s in enumerate(encode.body) if ast.unparse(s).startswith("errors_indices ="))
    rank = compile(
        ast.fix_missing_locations(ast.Module(body=encode.body[first : last + 1], type_ignores=[])),
        "encode_images",
        "exec",
    )
    scope = {"torch": torch, "F": F, **utils}
    arch.functions(["token_merging"], scope)
    print(json.dumps({"torch": torch.__version__, "commit": commit(repo)}), flush=True)
    state: dict = {}
    for line in sys.stdin:
        command = json.loads(line)
        reply: dict = {}
        with torch.no_grad():
            if "rows" in command:
                state = command
                x = matrix(command["rows"], command["dim"])
                torch.randint = lambda *_, **__: torch.tensor([state["start"]])
            else:
                torch.set_num_threads(command.get("threads", 1))
                run = dict(scope, image_features=x, selection_method="fps", k=BASIS)
                run |= {"B": 1, "N": x.shape[1], "visual_token_num": state["keep"]}
                copy = x.clone() if command.get("merge") else x
                wall, cpu = time.perf_counter(), time.process_time()
                if command.get("merge"):
                    scope["token_merging"](SimpleNamespace(), copy, state["kept"], BASIS)
                else:
                    exec(rank, run)
                    state["kept"] = run["errors_indices"]
                reply = {
                    "wallMs": (time.perf_counter() - wall) * 1000,
                    "cpuMs": (time.process_time() - cpu) * 1000,
                }
                if not command.get("merge"):
                    reply["kept"] = sorted(run["errors_indices"][0].tolist())[:2000]
        print(json.dumps(reply), flush=True)


def commit(repo: Path) -> str | None:
    done = subprocess.run(["git", "-C", repo, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or None


if __name__ == "__main__":
    main()
