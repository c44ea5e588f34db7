"""Train the reader, from nothing or from where the last run stopped, on CPU or CUDA.

    python training/train.py --stage all --out training/runs/reader

Stages: pages (render them with glyphpress), vision, decoder, align, tune, export. Each one resumes from
its own folder under --out and is quick when it is done already. See README.md.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STAGES = ["pages", "vision", "decoder", "align", "tune", "export"]
# glibc gives memory back to the system after every step otherwise; one thread is best on a shared machine.
ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=["all", *STAGES], default="all")
    parser.add_argument("--out", type=Path, default=HERE / "runs" / "reader")
    parser.add_argument("--pages", type=int, default=720, help="rendered pages to train on")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: PyTorch's own choice)")
    parser.add_argument("--device", default=None)
    args, rest = parser.parse_known_args()
    if rest and args.stage in ("all", "pages", "export"):
        parser.error(f"{' '.join(rest)}: further options go to one training stage, name it with --stage")

    out = args.out.resolve()
    pages = out / "pages"
    device = ["--device", args.device] if args.device else []
    commands = {
        "pages": [
            ["render_pages.py", "--out", str(pages / "train"), "--pages", str(args.pages), "--keep"],
            ["render_pages.py", "--out", str(pages / "heldout"), "--pages", "40", "--held-out", "--keep"],
            *(
                ["render_pages.py", "--out", str(pages / f"{kind}-{rows}"), "--pages", str(count), "--keep"]
                + ["--rows-per-cell", str(rows), *held_out]
                for rows, share in ((2, 2), (1, 6))
                for kind, count, held_out in (("train", args.pages // share, []), ("heldout", 12, ["--held-out"]))
            ),
        ],
        "vision": [["train_vision.py", "--out", str(out / "vision"), "--pages", str(pages), *device, *rest]],
        "decoder": [["train_decoder.py", "--out", str(out / "decoder"), *device, *rest]],
        "align": [
            ["train_align.py", "--out", str(out / "align"), "--vision", str(out / "vision")]
            + ["--pages", str(pages), *device, *rest]
        ],
        "tune": [
            ["train_tune.py", "--out", str(out / "tune"), "--decoder", str(out / "decoder")]
            + ["--align", str(out / "align"), "--pages", str(pages), *device, *rest]
        ],
        "export": [["export.py", "--run", str(out), "--out", str(HERE / "runs" / "export")]],
    }
    environment = {**ENVIRONMENT, **os.environ}
    if args.threads:
        environment["OMP_NUM_THREADS"] = str(args.threads)
    for stage in STAGES if args.stage == "all" else [args.stage]:
        for script, *options in commands[stage]:
            print(f"== {stage}: {script}", flush=True)
            subprocess.run([sys.executable, str(HERE / script), *options], check=True, env=environment)


if __name__ == "__main__":
    main()
