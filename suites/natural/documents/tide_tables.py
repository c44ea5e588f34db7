"""Print a tide table for one port and month.

The prediction is a plain sum of harmonic constituents. It is good to a few centimetres in
open water and to a decimetre in long estuaries; never use it for navigation.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

EPOCH = datetime(2000, 1, 1, 12, tzinfo=timezone.utc)
STEP = timedelta(minutes=6)
# Turns closer than this are one turn seen twice: double high waters of Southampton stay two.
MIN_GAP = timedelta(minutes=42)
MAX_CONSTITUENTS = 37


class PortError(Exception):
    """The port file cannot be used. The message says why, for people."""


@dataclass(frozen=True)
class Constituent:
    name: str
    speed: float  # degrees an hour
    amplitude: float  # metres
    phase: float  # degrees, relative to EPOCH


@dataclass(frozen=True)
class Turn:
    time: datetime
    height: float
    kind: str  # "HW" or "LW"


def load_port(path: Path) -> tuple[float, list[Constituent]]:
    """Returns the mean level above chart datum and the constituents, largest first."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PortError(f"no port file {path}") from None
    except json.JSONDecodeError as error:
        raise PortError(f"{path} is not JSON (line {error.lineno})") from error
    found = [Constituent(**entry) for entry in raw["constituents"]]
    if not found:
        raise PortError("a port needs at least one constituent")
    if len(found) > MAX_CONSTITUENTS:
        raise PortError(f"{len(found)} constituents; {MAX_CONSTITUENTS} are the most")
    found.sort(key=lambda one: -one.amplitude)
    return float(raw.get("mean_level", 0.0)), found


def height_at(time: datetime, mean: float, constituents: list[Constituent]) -> float:
    hours = (time - EPOCH).total_seconds() / 3600
    total = mean
    for one in constituents:
        total += one.amplitude * math.cos(math.radians(one.speed * hours - one.phase))
    return total


def turns(start: datetime, end: datetime, mean: float, constituents: list[Constituent]):
    """Yields high and low waters. Refined by a parabola through three samples."""
    last: Turn | None = None
    before = height_at(start - STEP, mean, constituents)
    here = height_at(start, mean, constituents)
    time = start
    while time < end:
        after = height_at(time + STEP, mean, constituents)
        is_high = before < here >= after
        is_low = before > here <= after
        if is_high or is_low:
            curve = before - 2 * here + after
            shift = 0.0 if curve == 0 else (before - after) / (2 * curve)
            turn = Turn(time + shift * STEP, here - (before - after) * shift / 4, "HW" if is_high else "LW")
            if last is None or turn.time - last.time >= MIN_GAP:
                yield turn
                last = turn
        before, here = here, after
        time += STEP


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=Path, help="port file, JSON")
    parser.add_argument("month", help="for example 2025-07")
    parser.add_argument("--low", action="store_true", help="low waters too")
    parser.add_argument("--feet", action="store_true", help="heights in feet")
    options = parser.parse_args(argv)
    try:
        mean, constituents = load_port(options.port)
        start = datetime.strptime(options.month, "%Y-%m").replace(tzinfo=timezone.utc)
    except (PortError, ValueError) as error:
        print(f"tide_tables: {error}", file=sys.stderr)
        return 65
    end = (start + timedelta(days=32)).replace(day=1)
    for turn in turns(start, end, mean, constituents):
        if turn.kind == "LW" and not options.low:
            continue
        height = turn.height * 3.28084 if options.feet else turn.height
        print(f"{turn.time:%a %d %H:%M}  {turn.kind}  {height:5.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
