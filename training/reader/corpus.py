"""Texts to learn from: free documentation, books, code and data of this machine and of Debian packages by name.

    python -m reader.corpus --debs runs/corpus/debs --out runs/corpus

`--debs` is a folder of packages fetched with `apt-get download` (PACKAGES); they are unpacked, never installed.
Writes `train.jsonl` and `heldout.jsonl`, a document a line: {"origin", "kind", "licence", "text", "facts"}; facts are
what the rules of `questions` find. One document in twenty is held out, by a hash of its text. `--apart` names
folders of evaluation documents: a document that shares an eighth of its lines with one of them is left out.
"""

import argparse
import gzip
import hashlib
import html.parser
import json
import multiprocessing
import re
import subprocess
import sysconfig
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from .questions.engine import find_facts
from .questions.fact import in_one_line

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "anarchism": "GPL-2+",
    "apache2-doc": "Apache-2.0",
    "aptitude-doc-en": "GPL-2+",
    "bash-doc": "GPL-3+, GFDL",
    "bible-kjv-text": "public domain",
    "debian-handbook": "GPL-2+ or CC-BY-SA-3.0",
    "debian-kernel-handbook": "GPL-2+",
    "debian-policy": "GPL-2+",
    "debian-reference-en": "GPL-2+",
    "developers-reference": "GPL-2+",
    "dict-devil": "public domain",
    "dict-elements": "public domain",
    "dict-foldoc": "GFDL",
    "dict-gcide": "GPL-3+",
    "dict-jargon": "public domain",
    "fortunes": "various free",
    "fortunes-min": "various free",
    "git-doc": "GPL-2",
    "gnucash-docs": "GFDL",
    "gnupg-doc": "GPL-3+",
    "installation-guide-amd64": "GPL-2+",
    "iso-codes": "LGPL-2.1+",
    "libreoffice-help-en-us": "MPL-2.0",
    "maint-guide": "GPL-2+",
    "manpages": "various free",
    "manpages-dev": "various free",
    "miscfiles": "GPL-2+",
    "perl-doc": "Artistic or GPL-1+",
    "postgresql-doc-15": "PostgreSQL",
    "python3.11-doc": "PSF-2",
    "sqlite3-doc": "public domain",
    "vim-doc": "Vim",
    "zsh-doc": "MIT-like",
}
HELD_OUT_SHARE = 20
# One manual page of so many: there are thousands, and formatting each takes a tenth of a second.
MANUALS_SHARE = 5
LEAST, MOST = 400, 60_000
MOST_OF_ONE_ORIGIN = 6_000_000
SPACES = {"\t": "    ", "\r": "", "\xa0": " ", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
SPACES |= {"\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-", "\u2026": "...", "\u2212": "-", "\ufeff": ""}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]")


def plain(text: str) -> str:
    for this, that in SPACES.items():
        text = text.replace(this, that)
    text = CONTROL.sub("", text)
    text = re.sub(r"[ ]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


ENGLISH = set("the of and is that this with be are by you not from".split())


def english(text: str) -> bool:
    words = re.findall(r"[a-z]+", text[:20_000].lower())
    return sum(word in ENGLISH for word in words) > 0.1 * len(words)


def reflow(text: str) -> str:
    """Joins the lines of hard-wrapped paragraphs, as the renderer's `reflow` does: a break is soft if the next
    line's first word did not fit."""
    out = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.split("\n")
        widest = max(len(line) for line in lines)
        if widest < 50 or len(lines) < 2:
            out.append(block)
            continue
        joined = lines[0]
        for before, line in zip(lines, lines[1:], strict=False):
            word = line.strip().split(" ")[0]
            same = len(line) - len(line.lstrip()) <= len(lines[1]) - len(lines[1].lstrip())
            soft = word and len(before) + 1 + len(word) > min(widest, 100) - 2 and same and line.strip()[0] not in "-*|+#>"
            joined += " " + line.strip() if soft else "\n" + line
        out.append(joined)
    return "\n\n".join(out)


# A file name that ends in a language, as in `index.html.de` or `manual.pt_BR`.
TRANSLATED = re.compile(r"\.[a-z]{2}(\.utf8|_[A-Z]{2})?$")


class PageText(html.parser.HTMLParser):
    """The text of a documentation page, without navigation."""

    SILENT = {"script", "style", "nav", "head", "footer", "form", "button", "svg"}
    BLOCKS = {"p", "div", "li", "dt", "dd", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "br", "pre", "table", "ul", "ol", "dl", "section", "blockquote"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0
        self.fixed = 0

    def handle_starttag(self, tag, attrs):
        if tag in self.SILENT:
            self.silent += 1
        if tag == "pre":
            self.fixed += 1
        if tag in ("td", "th"):
            self.parts.append("  ")
        if tag == "li":
            self.parts.append("\n- ")
        elif tag in ("p", "h1", "h2", "h3", "h4", "pre", "table", "dl"):
            self.parts.append("\n\n")
        elif tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        if tag in self.SILENT:
            self.silent = max(0, self.silent - 1)
        if tag == "pre":
            self.fixed = max(0, self.fixed - 1)
        if tag in ("p", "h1", "h2", "h3", "h4", "pre", "table"):
            self.parts.append("\n\n")

    def handle_data(self, data):
        if not self.silent:
            self.parts.append(data if self.fixed else re.sub(r"\s+", " ", data))


def html_text(source: str) -> str:
    page = PageText()
    page.feed(source)
    text = "".join(page.parts)
    text = re.sub(r"\n +", "\n", text) if "    " not in text else re.sub(r"\n (?=\S)", "\n", text)
    return re.sub(r"- \n+", "- ", text)


def man_text(path: Path) -> str:
    out = subprocess.run(
        f"zcat -f '{path}' | groff -man -Tascii -rLL=100n -P-cbou 2>/dev/null | col -bx", shell=True, capture_output=True, timeout=60
    ).stdout.decode("utf-8", "ignore")
    # Lines are filled to both margins: spaces go back to one, wide gaps of tables stay.
    return re.sub(r"(?<=\S) {2,3}(?=\S)", " ", re.sub(r"(?<=\w)-\n +(?=[a-z])", "", out))


def read(path: Path) -> str:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode("utf-8", "ignore")


def dictionary_entries(path: Path) -> Iterator[str]:
    """Runs of neighbouring entries of a dictd database."""
    text = read(path)
    entries = re.split(r"\n(?=\S)", text)
    for i in range(0, len(entries), 24):
        yield "\n".join(entries[i : i + 24])


def r_strings(path: Path) -> Iterator[str]:
    """The character vectors of a lazy-load database of R (zlib streams of XDR; CHARSXP = flags, length, bytes)."""
    data, at = path.read_bytes(), 4
    while at < len(data):
        stream = zlib.decompressobj()
        try:
            raw = stream.decompress(data[at:])
        except zlib.error:
            return
        at = len(data) - len(stream.unused_data) + 4
        lines, i = [], 0
        while (i := raw.find(b"\x00\x04\x00\x09", i)) >= 0:
            length = int.from_bytes(raw[i + 4 : i + 8])
            lines.append(raw[i + 8 : i + 8 + length].decode("utf-8", "ignore"))
            i += 8 + length
        yield "\n".join(lines)


def package_documents(tree: Path, package: str) -> Iterator[tuple[str, str]]:
    # In an order of chance, so that a package that is cut short is not its first chapter.
    files = [p for p in tree.rglob("*") if p.is_file() and not p.is_symlink()]
    for path in sorted(files, key=lambda p: zlib.crc32(str(p.relative_to(tree)).encode())):
        name = path.name.removesuffix(".gz")
        where = str(path.relative_to(tree))
        if re.search(r"(copyright|changelog(\.Debian)?|NEWS|genindex.*|searchindex.*|index-.*)(\.html)?$", name) or "/fr/" in where:
            continue
        try:
            if TRANSLATED.search(name) and not name.endswith((".en", ".md", ".py", ".dz")):
                continue
            if name.endswith(".html") or name.endswith(".html.en"):
                yield where, html_text(read(path))
            elif name.endswith(".dict.dz") or name.endswith(".dict"):
                for i, entries in enumerate(dictionary_entries(path)):
                    yield f"{where}#{i}", entries
            elif name == "Rdata.rdb":
                for i, text in enumerate(r_strings(path)):
                    for j in range(0, len(text), MOST):
                        yield f"{where}#{i}.{j}", text[j : j + MOST]
            elif re.fullmatch(r".+\.[1-8](posix|ssl|pm)?", name) and "/man/" in where:
                yield where, man_text(path)
            elif name.endswith(".pod"):
                yield where, subprocess.run(["pod2text", str(path)], capture_output=True, timeout=60).stdout.decode("utf-8", "ignore")
            elif "/misc/" in where or name.endswith((".txt", ".md", ".rst", ".raw", ".json", ".csv")) or "." not in name and "/share/" in where:
                text = read(path)
                if text.isprintable() or len(CONTROL.findall(text[:2000])) < 5:
                    for i in range(0, len(text), MOST):
                        yield f"{where}#{i}", text[i : i + MOST]
        except (OSError, subprocess.TimeoutExpired, AssertionError, ValueError):
            continue


def machine_documents() -> Iterator[tuple[str, str, str, str]]:
    """(origin, kind, licence, text) of what any Debian, Python and npm machine has."""
    for path in sorted(Path("/usr/share/man").glob("man[1-8]/*")):
        if path.stat().st_size < 1500 or path.is_symlink() or zlib.crc32(path.name.encode()) % MANUALS_SHARE:
            continue
        try:
            yield f"man:{path.name}", "manual", "as the package", man_text(path)
        except (OSError, subprocess.TimeoutExpired):
            continue
    for pattern, kind in (("**/copyright", "licence"), ("**/README*", "readme"), ("**/NEWS*", "changelog"), ("**/changelog*.gz", "changelog")):
        for path in sorted(Path("/usr/share/doc").glob(pattern)):
            if path.is_file() and not path.is_symlink() and path.stat().st_size > 800:
                yield f"doc:{path.relative_to('/usr/share/doc')}", kind, "as the package", read(path)[:30_000]
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield f"python:{path.name}", "code", "PSF-2", read(path)[:40_000]
    modules = ROOT / "node_modules"
    for pattern, kind in (("*/README.md", "readme"), ("@*/*/README.md", "readme"), ("*/CHANGELOG.md", "changelog"), ("*/package.json", "data"), ("*/lib/*.js", "code")):
        for path in sorted(modules.glob(pattern)):
            if path.is_file() and path.stat().st_size > 800:
                yield f"npm:{path.relative_to(modules)}", kind, "as the package", read(path)[:30_000]


def all_documents(debs: Path | None, tree: Path) -> Iterator[dict]:
    if debs:
        for deb in sorted(debs.glob("*.deb")):
            package = deb.name.split("_")[0]
            tree.mkdir(parents=True, exist_ok=True)
            target = tree / package
            if not target.exists():
                subprocess.run(["dpkg", "-x", str(deb), str(target)], check=True)
            read_so_far = 0
            for where, text in package_documents(target, package):
                read_so_far += min(len(text), MOST)
                if read_so_far > 1.5 * MOST_OF_ONE_ORIGIN:  # not all of it is taken
                    break
                kind = "dictionary" if package.startswith("dict-") else "manual" if "/man/" in where else "book"
                yield {"origin": f"deb:{package}/{where}", "kind": kind, "licence": PACKAGES.get(package, "as the package"), "text": text}
    for origin, kind, licence, text in machine_documents():
        yield {"origin": origin, "kind": kind, "licence": licence, "text": text}


def evaluation_lines(folders: list[Path]) -> set[str]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {line for path in files for line in long_lines(plain(read(path)))}


def long_lines(text: str) -> list[str]:
    return [line for line in (in_one_line(raw) for raw in text.split("\n")) if len(line) > 30]


def shared(text: str, lines: set[str]) -> float:
    own = long_lines(text) if lines else []
    return sum(line in lines for line in own) / len(own) if own else 0.0


def digest(text: str) -> str:
    return hashlib.sha256(text[:4000].encode()).hexdigest()


def choose(documents: Iterator[dict], apart: set[str], counts: dict[str, list[int]]) -> Iterator[dict]:
    """English, long enough, once, and not of the evaluation. `counts`: documents and characters of each origin."""
    seen: set[str] = set()
    for document in documents:
        key = document["origin"].split("/")[0] if document["origin"].startswith("deb:") else document["origin"].split(":")[0]
        if counts.get(key, [0, 0])[1] > MOST_OF_ONE_ORIGIN:
            continue
        text = plain(document["text"])[:MOST]
        if document["kind"] not in ("code", "data"):
            text = reflow(text)
        # Mostly foreign or broken text, which the language model does not know either.
        if len(text) < LEAST or sum(c.isascii() for c in text) < 0.97 * len(text):
            continue
        if document["kind"] not in ("code", "data", "dictionary") and not english(text):
            continue
        if shared(text, apart) > 1 / 8 or digest(text) in seen:
            continue
        seen.add(digest(text))
        counts.setdefault(key, [0, 0])
        counts[key][0] += 1
        counts[key][1] += len(text)
        yield {**document, "text": text}


def with_facts(document: dict) -> dict:
    return {**document, "facts": [asdict(fact) for fact in find_facts(document["text"], document["kind"])]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debs", type=Path)
    parser.add_argument("--apart", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, help="that look for facts (default: one for each core)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, list[int]] = {}
    chosen = choose(all_documents(args.debs, args.out / "tree"), evaluation_lines(args.apart), counts)
    with (
        (args.out / "train.jsonl.tmp").open("w") as train,
        (args.out / "heldout.jsonl.tmp").open("w") as held_out,
        multiprocessing.Pool(args.processes) as pool,
    ):
        for document in pool.imap(with_facts, chosen, 8):
            out = held_out if int(digest(document["text"])[:8], 16) % HELD_OUT_SHARE == 0 else train
            out.write(json.dumps(document, ensure_ascii=False) + "\n")
    for name in ("train", "heldout"):
        (args.out / f"{name}.jsonl.tmp").rename(args.out / f"{name}.jsonl")
    for key, (files, characters) in sorted(counts.items()):
        print(f"{key:40} {files:6} {characters / 1e6:8.2f} M characters")


if __name__ == "__main__":
    main()
