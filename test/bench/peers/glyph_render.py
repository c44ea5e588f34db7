#!/usr/bin/env python3
"""How fast does Glyph's own renderer turn a text into page images?

Imports scripts/word2png_function.py of a checkout of thu-coai/Glyph, which stays outside this
repository, and calls its text_to_images with the given text, configuration and font. Nothing of
Glyph is changed; its functions are only timed from outside.

Each process renders one document, as Glyph's own batch mode does, after one warm-up page. With
--processes N, N processes render N documents at once; the clock of a round runs from the common
start to the end of the slowest. The last line on stdout is one JSON object.
"""

import argparse
import hashlib
import importlib.util
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time

SAMPLE_INTERVAL_SECONDS = 0.05


def main():
    arguments = parse_arguments()
    with open(arguments.text, encoding="utf-8") as file:
        text = file.read()
    os.makedirs(arguments.out, exist_ok=True)

    # Each worker starts bare, so that memory of this process is not counted in it.
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(arguments.processes + 1)
    results = context.Queue()
    workers = [
        context.Process(target=work, args=(arguments, text, index, barrier, results), daemon=True)
        for index in range(arguments.processes)
    ]
    for worker in workers:
        worker.start()

    memory = MemorySampler([worker.pid for worker in workers])
    rounds = []
    reports = []
    try:
        barrier.wait(timeout=300)  # all warmed up
        memory.start()
        for _ in range(arguments.repeat):
            barrier.wait(timeout=300)
            started = time.perf_counter()
            reports = [results.get(timeout=600) for _ in workers]
            seconds = time.perf_counter() - started
            rounds.append({"seconds": seconds, "reports": reports})
        peak_mb = memory.stop()
        barrier.wait(timeout=300)
        usage = [results.get(timeout=60) for _ in workers]
    except threading.BrokenBarrierError:
        sys.exit("A worker failed; its error is printed above.")
    for worker in workers:
        worker.join()

    pages = sum(report["pages"] for report in reports)
    seconds = statistics.median(one["seconds"] for one in rounds)
    every_report = [report for one in rounds for report in one["reports"]]
    print(
        json.dumps(
            {
                "peer": "glyph",
                "commit": checkout_commit(arguments.glyph_dir),
                "config": os.path.basename(arguments.config),
                "font": os.path.basename(arguments.font),
                "characters": len(text),
                "textSha256": hashlib.sha256(text.encode()).hexdigest()[:16],
                "processes": arguments.processes,
                "repeat": arguments.repeat,
                "pages": pages,
                "pageWidthPx": reports[0]["width"],
                "pageHeightPx": reports[0]["height"],
                # Per round, median over the rounds.
                "seconds": round(seconds, 4),
                "minSeconds": round(min(one["seconds"] for one in rounds), 4),
                "maxSeconds": round(max(one["seconds"] for one in rounds), 4),
                "pagesPerSecond": round(pages / seconds, 2),
                # Of the fastest round: what the machine gives when nothing else runs on it.
                "bestPagesPerSecond": round(pages / min(one["seconds"] for one in rounds), 2),
                # CPU seconds per second of the clock; far below `processes` means a busy machine.
                "coresUsed": round(
                    statistics.median(
                        sum(report["cpuSeconds"] for report in one["reports"]) / one["seconds"]
                        for one in rounds
                    ),
                    2,
                ),
                # Per document, median: text to PDF, PDF to pixels, crop + PNG + file.
                **{
                    key: round(statistics.median(report[key] for report in every_report), 4)
                    for key in ("layoutSeconds", "rasterSeconds", "encodeSeconds")
                },
                "cpuSecondsPerPage": round(
                    statistics.median(report["cpuSeconds"] for report in every_report)
                    / reports[0]["pages"],
                    4,
                ),
                # Workers and their children together at one moment, highest sample. Proportional
                # set size, because a forked child shares its parent's pages until it calls exec.
                "peakMemoryMb": round(peak_mb, 1),
                # The largest worker alone, as the kernel counted it.
                "workerMaxRssMb": round(max(usage), 1),
                "pngBytesPerPage": round(reports[0]["bytes"] / reports[0]["pages"]),
                "cpu": cpu_name(),
                "cores": len(os.sched_getaffinity(0)),
                "python": platform.python_version(),
                "versions": package_versions(),
            }
        )
    )


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--glyph-dir", required=True, help="checkout of thu-coai/Glyph")
    parser.add_argument("--text", required=True, help="UTF-8 text file")
    parser.add_argument("--config", required=True, help="Glyph's JSON render configuration")
    parser.add_argument("--font", required=True, help="TTF that replaces the configured font")
    parser.add_argument("--out", required=True, help="folder for the images; may be overwritten")
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--processes", type=int, default=1, help="documents at once (default 1)")
    return parser.parse_args()


def work(arguments, text, index, barrier, results):
    try:
        renderer = load_renderer(arguments.glyph_dir)
        config = renderer.load_config(arguments.config)
        config["font-path"] = os.path.abspath(arguments.font)
        renderer.text_to_images(
            text[:5000], arguments.out, config_dict=config, unique_id=f"warm-up-{index}"
        )
        barrier.wait(timeout=300)
        for _ in range(arguments.repeat):
            name = f"document-{index}"
            shutil.rmtree(os.path.join(arguments.out, name), ignore_errors=True)
            barrier.wait(timeout=300)
            results.put(render_once(renderer, text, arguments.out, config, name))
        barrier.wait(timeout=300)
        results.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    except BaseException:
        barrier.abort()
        raise


def load_renderer(glyph_dir):
    path = os.path.join(glyph_dir, "scripts", "word2png_function.py")
    spec = importlib.util.spec_from_file_location("word2png_function", path)
    if spec is None or not os.path.exists(path):
        raise SystemExit(f"{path} does not exist: --glyph-dir is not a checkout of thu-coai/Glyph")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def render_once(renderer, text, out, config, name):
    """One document, its phases told apart by the two calls into poppler."""
    spent = {"raster": 0.0}
    first_poppler_call = []

    def timed(function):
        def call(*args, **options):
            started = time.perf_counter()
            first_poppler_call.append(started)
            try:
                return function(*args, **options)
            finally:
                spent["raster"] += time.perf_counter() - started

        return call

    originals = renderer.pdfinfo_from_bytes, renderer.convert_from_bytes
    renderer.pdfinfo_from_bytes, renderer.convert_from_bytes = map(timed, originals)
    cpu_before = cpu_seconds()
    started = time.perf_counter()
    try:
        paths = renderer.text_to_images(text, out, config_dict=config, unique_id=name)
    finally:
        renderer.pdfinfo_from_bytes, renderer.convert_from_bytes = originals
    seconds = time.perf_counter() - started
    cpu = cpu_seconds() - cpu_before
    layout = first_poppler_call[0] - started
    width, height = image_size(paths[0])
    return {
        "pages": len(paths),
        "seconds": seconds,
        "layoutSeconds": layout,
        "rasterSeconds": spent["raster"],
        "encodeSeconds": seconds - layout - spent["raster"],
        "cpuSeconds": cpu,
        "bytes": sum(os.path.getsize(path) for path in paths),
        "width": width,
        "height": height,
    }


def cpu_seconds():
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def image_size(path):
    from PIL import Image

    with Image.open(path) as image:
        return image.size


class MemorySampler:
    """Proportional set size of processes and all that they start. Linux only; elsewhere 0."""

    def __init__(self, roots):
        self.roots = roots
        self.peak_kb = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def start(self):
        self.thread.start()

    def stop(self):
        self.stopped.set()
        self.thread.join()
        return self.peak_kb / 1024

    def sample(self):
        while not self.stopped.wait(SAMPLE_INTERVAL_SECONDS):
            self.peak_kb = max(self.peak_kb, sum(map(pss_kb, with_descendants(self.roots))))


def with_descendants(roots):
    children = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                # The name in parentheses may hold spaces; the parent is the second field after it.
                parent = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(entry))
    found = list(roots)
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, []))
    return found


def pss_kb(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def checkout_commit(folder):
    result = subprocess.run(
        ["git", "-C", folder, "log", "-1", "--format=%H"],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or None


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def package_versions():
    from importlib.metadata import version

    versions = {name: version(name) for name in ("reportlab", "pdf2image", "pillow", "numpy")}
    poppler = subprocess.run(["pdftoppm", "-v"], capture_output=True, text=True, check=False)
    versions["poppler"] = poppler.stderr.split("\n", 1)[0].rpartition(" ")[2] or None
    return versions


if __name__ == "__main__":
    main()
