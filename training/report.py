"""The learning curves of a run as tables in Markdown, from its logs.

    python training/report.py --run training/runs/reader
"""

import argparse
import json
from pathlib import Path

COLUMNS = [
    ("pointer", "cell found"),
    ("snippet_chars", "next character of a snippet"),
    ("value_first", "first character of a value"),
    ("value_chars", "characters of a value"),
    ("value_exact", "whole value"),
    ("look-up_exact", "whole answer"),
    ("free_look-up", "value, left to itself"),
]
ROWS_TO_A_CELL = {"heldout": "3 rows a cell", "heldout-2": "2 rows", "heldout-1": "1 row"}


def entries(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("training/runs/reader"))
    args = parser.parse_args()

    for stage, heading in (("vision", "Stage `vision`"), ("align", "Stage `align`")):
        rows = [e for e in entries(args.run / stage / "log.jsonl") if "cer" in e]
        if not rows:
            continue
        names = list(dict.fromkeys(e.get("pages", "heldout") for e in rows))
        print(f"### {heading}: characters read wrongly from whole held-out pages (30 × 21 cells), in %\n")
        print("| step | minutes | " + " | ".join(ROWS_TO_A_CELL[name] for name in names) + " |\n|---:|---:|" + "---:|" * len(names))
        for step in dict.fromkeys(e["step"] for e in rows):
            here = {e.get("pages", "heldout"): e for e in rows if e["step"] == step}
            minutes = next(iter(here.values()))["seconds"] / 60
            print(f"| {step} | {minutes:.0f} | " + " | ".join(percent(here[n]["cer"]) if n in here else "–" for n in names) + " |")
        print()
    for stage, heading in (("decoder", "on written tokens"), ("tune", "on pages from the renderer")):
        rows = [e for e in entries(args.run / stage / "log.jsonl") if "held_out" in e]
        if not rows:
            continue
        print(f"### Stage `{stage}`: right, in %, held out, {heading}\n")
        print("| step | minutes | cells | " + " | ".join(title for _, title in COLUMNS) + " |")
        print("|---:|---:|---:|" + "---:|" * len(COLUMNS))
        for e in rows:
            h = e["held_out"]
            grid = " × ".join(map(str, h["grid"]))
            print(f"| {e['step']} | {e['seconds'] / 60:.0f} | {grid} | " + " | ".join(percent(h.get(k)) for k, _ in COLUMNS) + " |")
        print()


if __name__ == "__main__":
    main()
