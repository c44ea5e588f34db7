"""What a rule finds in a text: a question that the text answers, and where."""

import random
from dataclasses import dataclass, field

HELD_OUT_EVERY = 6
"""Of the phrasings of a relation, every sixth is kept for held-out questions (lists of fewer keep none)."""


@dataclass
class Fact:
    relation: str
    """key into PHRASINGS"""
    slots: dict[str, str]
    start: int
    end: int
    """evidence: half-open range of the text that must be visible"""
    value: str = ""
    """what a right answer must contain, as written"""
    whole: bool = False
    """the answer holds only if the whole document is visible (counts, first and last, summaries)"""


@dataclass
class Turn:
    question: str
    answer: str
    value: str
    relation: str
    whole: bool = False
    """as in Fact"""


@dataclass
class Phrasings:
    questions: list[str]
    answers: list[str] = field(default_factory=lambda: ["{value}"])

    def pick(self, rng: random.Random, slots: dict[str, str], held_out: bool) -> tuple[str, str]:
        known = [q for i, q in enumerate(self.questions) if (i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out]
        question = rng.choice(known or self.questions).format(**slots)
        answer = rng.choice(self.answers).format(**slots)
        return sentence(question), sentence(answer)


def sentence(text: str) -> str:
    """First letter upper case, unless the text starts with a name of the machine (`--option`, `file.txt`, `fooBar`)."""
    text = text.strip()
    head = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if head.isalpha() and head.islower() else text


def as_clause(text: str) -> str:
    """A description, to go on with inside a sentence: "Print the version." -> "print the version"."""
    text = text.strip().rstrip(".;:,")
    head = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if head[1:].islower() or head in ("A", "I") else text


def in_one_line(text: str) -> str:
    return " ".join(text.split())
