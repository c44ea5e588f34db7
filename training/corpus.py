"""Texts to train on: what may be used freely on a Debian or npm machine, and generated text.

Every generator takes a `random.Random`, so that a seed fixes the text. Files are split by a hash of
their content: one in twenty is held out and never trained on.
"""

import hashlib
import random
import re
import string
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HELD_OUT_SHARE = 20

PATTERNS = [
    ("/usr/share/common-licenses", "*"),
    ("/usr/share/doc", "**/copyright"),
    ("/usr/share/perl", "**/*.pod"),
    ("/usr/share/perl5", "**/*.pod"),
    (str(ROOT / "node_modules"), "**/*.md"),
    (sysconfig.get_paths()["stdlib"], "*.py"),
]
MAX_FILES = 3000
MAX_CHARS_PER_FILE = 60_000

NOT_PRINTABLE = re.compile(r"[^\x20-\x7e\n]")


def plain(text: str) -> str:
    """Printable ASCII; tabs and other spaces become spaces."""
    text = text.replace("\t", "    ").replace("\r", "").replace("\f", "\n")
    for wide, narrow in (("\u2018", "'"), ("\u2019", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2013", "-"), ("\u2014", "-")):
        text = text.replace(wide, narrow)
    return NOT_PRINTABLE.sub("", text)


def find_texts(*, held_out: bool) -> list[str]:
    """Texts of this machine, in a fixed order, duplicates removed."""
    seen, texts = set(), []
    for folder, pattern in PATTERNS:
        base = Path(folder)
        if not base.is_dir():
            continue
        for path in sorted(base.glob(pattern))[:MAX_FILES]:
            try:
                if not path.is_file() or path.stat().st_size < 3000:
                    continue
                text = plain(path.read_text(encoding="utf-8", errors="ignore"))[:MAX_CHARS_PER_FILE]
            except OSError:
                continue
            digest = hashlib.sha256(text.encode()).digest()
            if digest in seen or len(text) < 3000:
                continue
            seen.add(digest)
            if (digest[0] % HELD_OUT_SHARE == 0) == held_out:
                texts.append(text)
    if not texts:
        sys.exit("no texts found: install Debian documentation or run npm ci first")
    return texts


HEX = "0123456789abcdef"
CODE = string.ascii_uppercase + string.digits
WORD = string.ascii_letters + string.digits


def random_code(rng: random.Random) -> str:
    """A value that nobody can guess."""
    pick = lambda alphabet, n: "".join(rng.choices(alphabet, k=n))  # noqa: E731
    kind = rng.randrange(9)
    if kind == 0:
        return pick(HEX, 12)
    if kind == 1:
        return f"{pick(CODE, 4)}-{pick(CODE, 2)}"
    if kind == 2:
        return pick(string.digits, rng.randint(4, 8))
    if kind == 3:
        return pick(CODE, rng.randint(5, 9))
    if kind == 4:
        return f"{pick(string.ascii_uppercase, 2)}-{pick(string.digits, 4)}"
    if kind == 5:
        return "-".join(pick(CODE, rng.randint(2, 4)) for _ in range(rng.randint(2, 3)))
    if kind == 6:
        return pick(WORD, rng.randint(6, 12))
    if kind == 7:
        return f"{rng.choice(ADJECTIVES)} {rng.choice(THINGS)}"
    return f"{pick(string.digits, rng.randint(1, 3))}.{pick(string.digits, 2)}"


ADJECTIVES = """north south east west old new red blue green white black upper lower inner outer main small large
second third first left right spare heavy light quiet secret hidden broken rusty golden silver wooden steel stone
narrow wide deep local central former public private early late winter summer spring autumn""".split()
THINGS = """gate door tower bridge harbour office cellar garden kitchen library station factory mill school ship truck
engine pump valve cabinet locker safe vault archive server printer router camera radio telescope elevator workshop
warehouse barn chapel castle museum theatre market bakery hotel farm mine tunnel canal dock crane furnace boiler
laboratory clinic depot hangar terminal platform signal antenna reservoir greenhouse stable orchard vineyard""".split()
ATTRIBUTES = """access code|serial number|password|key number|order number|phone extension|badge number|room number|
registration|batch number|licence number|security code|part number|account number|reference|tracking code|pin|
customer number|version|identifier|contract number|case number|ticket number|unlock code|secret word|label|
inventory number|price|weight|length|invoice number|file number|permit number|signal code|station code""".replace("\n", "").split("|")
NAMES = """Anna Boris Clara David Elena Frank Greta Henry Irene Jonas Karin Leo Maria Nils Olga Peter Rosa Simon Tara
Ulrich Vera Walter Xenia Yusuf Zoe Alice Bruno Carmen Diego Emma Felix Gloria Hugo Ingrid Jakob Laura Martin Nora
Oscar Paula Robert Sara Thomas Ursula Victor Wanda""".split()


def entity(rng: random.Random) -> str:
    kind = rng.randrange(5)
    if kind < 3:
        return f"the {rng.choice(ADJECTIVES)} {rng.choice(THINGS)}"
    if kind == 3:
        return rng.choice(NAMES)
    return f"{rng.choice(THINGS)} {rng.randint(1, 99)}"


# {x}: the attribute, {y}: whose it is. The first ones are asked most.
QUESTIONS = ["What is the {x} of {y}?"] * 6 + ["What's the {x} of {y}?", "Tell me the {x} of {y}.", "the {x} of {y}?"] + [
    "Give me the {x} of {y}.",
    "State the {x} of {y}.",
    "{x} of {y}?",
    "What was the {x} of {y} again?",
    "Can you tell me the {x} of {y}?",
    "Please find the {x} of {y}.",
    "I am looking for the {x} of {y}.",
    *["Which {x} does {y} have?", "What {x} does {y} have?"] * 2,
    "What is the {x} for {y}?",
    "Find the {x} for {y}, please.",
    "What is {y}'s {x}?",
]


class Fact:
    """A sentence that holds a value, the question for it and the answer."""

    def __init__(self, rng: random.Random, words: list[str] | None = None):
        attribute, owner = rng.choice(ATTRIBUTES), entity(rng)
        if words and rng.random() < 0.35:
            owner = " ".join(["the", *rng.choices(words, k=rng.randint(1, 2))])
        if words and rng.random() < 0.25:
            attribute = " ".join(rng.choices(words, k=rng.randint(1, 2)))
        self._set(rng, f"{attribute} of {owner}", random_code(rng))

    @classmethod
    def of(cls, subject: str, value: str, rng: random.Random) -> "Fact":
        """A fact that stands somewhere already."""
        fact = cls.__new__(cls)
        fact._set(rng, subject, value)
        return fact

    def _set(self, rng: random.Random, subject: str, value: str) -> None:
        self.subject, self.value = subject, value
        self.text = f"The {subject} is {value}."
        attribute, _, owner = subject.partition(" of ")
        self.question = rng.choice(QUESTIONS).format(x=attribute, y=owner)
        self.answer = self.text


def words_of(texts: list[str], limit: int = 20000) -> list[str]:
    seen: dict[str, int] = {}
    for text in texts:
        for word in re.findall(r"[A-Za-z]{2,14}", text):
            seen[word] = seen.get(word, 0) + 1
    return sorted(seen, key=lambda w: (-seen[w], w))[:limit]


class TextSource:
    """Endless page texts of mixed kinds."""

    def __init__(self, texts: list[str], *, facts_per_kchar: float = 1.5):
        self.texts = texts
        self.words = words_of(texts)
        self.facts_per_kchar = facts_per_kchar

    def english(self, rng: random.Random, length: int) -> str:
        text = rng.choice(self.texts)
        start = rng.randrange(max(1, len(text) - length))
        piece = text[start : start + length]
        if rng.random() < 0.6:  # joined paragraphs, as --reflow makes them
            piece = re.sub(r"(?<=\S)\n(?=\S)", " ", piece)
        return re.sub(r" {3,}", "  ", piece)

    def word_list(self, rng: random.Random, length: int) -> str:
        parts, size = [], 0
        while size < length:
            word = rng.choice(self.words)
            kind = rng.random()
            if kind < 0.1:
                word = random_code(rng)
            elif kind < 0.2:
                word = word.capitalize()
            word += rng.choices(["", ",", ".", ";", ":", "\n"], [80, 6, 6, 1, 1, 3])[0]
            parts.append(word)
            size += len(word) + 1
        return " ".join(parts).replace("\n ", "\n")

    def noise(self, rng: random.Random, length: int) -> str:
        alphabet = rng.choice([WORD + string.punctuation, WORD, CODE, HEX, string.digits, string.ascii_lowercase])
        parts, size = [], 0
        while size < length:
            word = "".join(rng.choices(alphabet, k=rng.randint(1, 14)))
            parts.append(word + ("\n" if rng.random() < 0.03 else ""))
            size += len(word) + 1
        return " ".join(parts).replace("\n ", "\n")

    def table(self, rng: random.Random, length: int) -> str:
        lines, size = [], 0
        separator = rng.choice([": ", " = ", ", ", "; ", " - ", " | "])
        while size < length:
            line = separator.join([rng.choice(self.words), *(random_code(rng) for _ in range(rng.randint(1, 4)))])
            lines.append(line)
            size += len(line) + 1
        return "\n".join(lines)

    def body(self, rng: random.Random, length: int) -> str:
        kind = rng.choices([self.english, self.word_list, self.noise, self.table], [50, 25, 15, 10])[0]
        return kind(rng, length)[:length]

    def page(self, rng: random.Random, length: int, facts: int | None = None) -> tuple[str, list[Fact]]:
        """Text of about `length` characters and the facts that stand in it, each at a sentence start."""
        if facts is None:
            facts = round(length / 1000 * self.facts_per_kchar * 2 * rng.random())
        chosen: list[Fact] = []
        subjects = set()
        while len(chosen) < facts:
            fact = Fact(rng, self.words)
            if fact.subject not in subjects:
                subjects.add(fact.subject)
                chosen.append(fact)
        text = ""
        while len(text) < length:
            text += self.body(rng, rng.randint(length // 3, length)) + rng.choice([" ", "\n", "\n\n"])
        room = max(0, length - sum(len(f.text) + 1 for f in chosen))
        text = text[:room]
        spots = sorted((m.end() for m in re.finditer(r"\s", text)), key=lambda _: rng.random())[: len(chosen)]
        for spot, fact in sorted(zip(spots, chosen), key=lambda pair: -pair[0]):
            text = text[:spot] + fact.text + " " + text[spot:]
        return text.strip("\n"), chosen[: len(spots)]
