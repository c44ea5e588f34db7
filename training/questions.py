"""What the decoder is asked about a page: snippets to continue and facts to look up.

A question is a list of token ids after the images, the labels of the tokens that it must predict
(-100: none), and for each of them the place on the page that it is read from (or UNKNOWN, NOWHERE).
"""

import random
import re
from dataclasses import dataclass, replace

from byte_tokenizer import TOKEN_ID
from construct import ENDS_PHRASE
from corpus import ATTRIBUTES, THINGS, Fact, TextSource
from slots import COLS, OVERLAP, ROWS, PageText

USER, ASSISTANT, END = TOKEN_ID["<|user|>"], TOKEN_ID["<|assistant|>"], TOKEN_ID["<|endoftext|>"]
BEGIN_IMAGE, END_IMAGE, IMAGE = TOKEN_ID["<|begin_of_image|>"], TOKEN_ID["<|end_of_image|>"], TOKEN_ID["<|image|>"]
PREFIX = [TOKEN_ID["[gMASK]"], TOKEN_ID["<sop>"], USER, ord("\n"), BEGIN_IMAGE]
TO_ANSWER = [ASSISTANT, ord("\n")]
NOT_FOUND = "not found"
# Which passage is meant is clear once so many characters are repeated.
LEADS_THERE = 10
# Places: nobody knows (any will do), and nowhere (the question says what comes next).
UNKNOWN, NOWHERE = -1, -2
END_PAGE = [END_IMAGE, BEGIN_IMAGE]


@dataclass
class Question:
    ids: list[int]
    labels: list[int]
    places: list[int]
    kind: str
    # index of the first and last token whose prediction is the value itself
    value: tuple[int, int] | None = None

    @property
    def prompt(self) -> list[int]:
        """Up to where the answer starts."""
        return self.ids[: next(i for i, label in enumerate(self.labels) if label != -100) + 1]


def wrap(text: str, width: int) -> list[str]:
    """Lines broken anywhere, each with the end of the one before, as the reader's rendering has them."""
    rows = []
    for paragraph in text.split("\n"):
        rows.append(paragraph[:width])
        for at in range(width, len(paragraph), width - OVERLAP):
            rows.append(paragraph[at - OVERLAP : at + width - OVERLAP])
    return rows


def make_page(source: TextSource, rng: random.Random, cell_rows: int, cell_cols: int, facts: int):
    """Text of one page that fills its grid, and the facts whole on it."""
    room = cell_rows * ROWS * cell_cols * COLS
    text, chosen = source.page(rng, int(room * rng.uniform(0.75, 1.1)), facts)
    page = PageText(wrap(text, cell_cols * COLS), cell_rows, cell_cols)
    found = []
    for fact in chosen:
        at = page.text.find(fact.text)
        if at >= 0:
            found.append((fact, at))
    return page, found


def repeated(character: str) -> int:
    """The place of a character that the question says. A sign that ends a phrase may come from the page as well."""
    return UNKNOWN if character in ENDS_PHRASE else NOWHERE


def snippet(page: PageText, rng: random.Random, length: int, skip: int = 4) -> Question:
    """Characters of the page as an answer: each one follows from those before it."""
    start = rng.randrange(max(1, len(page.text) - length))
    piece = page.text[start : start + length]
    ids = TO_ANSWER + [ord(c) for c in piece]
    labels, places = [-100] * len(ids), [UNKNOWN] * len(ids)
    for i in range(skip, len(piece)):
        labels[1 + i] = ids[2 + i]
        places[1 + i] = int(page.places[start + i])
    return Question(ids[:-1], labels[:-1], places[:-1], "snippet")


def continuation(page: PageText, rng: random.Random, length: int) -> Question:
    """`Continue: "…"`: the answer is the quotation and what follows it, as far as one likes to read."""
    quoted = rng.randint(10, 20)
    start = rng.randrange(max(1, len(page.text) - length))
    piece = page.text[start : start + max(quoted + 2, length)]
    ids = [ord(c) for c in f'Continue: "{piece[:quoted]}"'] + TO_ANSWER
    first = len(ids)
    ids += [ord(c) for c in piece]
    labels, places = [-100] * len(ids), [UNKNOWN] * len(ids)
    for i in range(len(piece)):
        labels[first - 1 + i] = ids[first + i]
        places[first - 1 + i] = int(page.places[start + i]) if i >= quoted else repeated(piece[i])
    return Question(ids[:-1], labels[:-1], places[:-1], "continue", (first - 1 + quoted, first - 1 + len(piece)))


def look_up(page: PageText, fact: Fact, at: int) -> Question:
    ids = [ord(c) for c in fact.question] + TO_ANSWER
    first = len(ids)
    ids += [ord(c) for c in fact.answer] + [END]
    labels, places = [-100] * len(ids), [UNKNOWN] * len(ids)
    for i in range(len(fact.answer) + 1):
        labels[first - 1 + i] = ids[first + i]
    asked = len(f"The {fact.subject}")
    for i, character in enumerate(fact.answer):
        places[first - 1 + i] = int(page.places[at + i]) if i >= max(asked, LEADS_THERE) else repeated(character)
    start = first - 1 + len(fact.answer) - 1 - len(fact.value)
    return Question(ids[:-1], labels[:-1], places[:-1], "look-up", (start, start + len(fact.value)))


def absent(rng: random.Random, subjects: set[str]) -> Question:
    """The answer repeats the question as ever; what follows is on no page."""
    while (fact := Fact(rng)).subject in subjects:
        pass
    return not_there(fact)


def not_there(fact: Fact) -> Question:
    ids = [ord(c) for c in fact.question] + TO_ANSWER
    first = len(ids)
    ids += [ord(c) for c in f"The {fact.subject} is {NOT_FOUND}."] + [END]
    labels = [-100] * (first - 1) + ids[first:]
    start = len(labels) - 2 - len(NOT_FOUND)
    places = [UNKNOWN] * len(labels)
    for i, character in enumerate(f"The {fact.subject}"):
        places[first - 1 + i] = repeated(character)
    return Question(ids[:-1], labels, places, "absent", (start, start + len(NOT_FOUND)))


PHRASE = re.compile(r"(?<=[a-z] )(?:the |an? )?[a-z]{3,12}(?: [a-z]{3,12})?(?= [a-z])")


def contested(page: PageText, rng: random.Random, subjects: set[str]) -> Question:
    """Of something that the page speaks of, but otherwise: the answer must keep to the question, not to the page."""
    phrases = PHRASE.findall(page.text)
    if not phrases:
        return absent(rng, subjects)
    owner = rng.choice(phrases)
    if " " in owner and rng.random() < 0.6:  # as on the page but for its last word
        owner = f"{owner.rsplit(' ', 1)[0]} {rng.choice([*THINGS, rng.choice(phrases).split()[-1]])}"
    if not owner.startswith(("the ", "a ", "an ")) and rng.random() < 0.6:
        owner = f"the {owner}"
    attribute = rng.choice(ATTRIBUTES) if rng.random() < 0.7 else rng.choice(phrases)
    subject = f"{attribute} of {owner}"
    if subject in subjects:
        return absent(rng, subjects)
    return replace(not_there(Fact.of(subject, NOT_FOUND, rng)), kind="contested")


# What is asked beside look-ups, and how often.
OTHERS = {"absent": 25, "contested": 20, "continue": 20, "snippet": 35}


def other_question(page: PageText, rng: random.Random, subjects: set[str], length: int) -> Question:
    """Anything but a look-up; what is read on from the page has about `length` characters."""
    kind = rng.choices([*OTHERS], [*OTHERS.values()])[0]
    if kind == "absent":
        return absent(rng, subjects)
    if kind == "contested":
        return contested(page, rng, subjects)
    return continuation(page, rng, length + 12) if kind == "continue" else snippet(page, rng, length)


def on_page(question: Question, first_place: int) -> Question:
    """The same about a page of a document, whose slots start at `first_place`."""
    return replace(question, places=[p + first_place if p >= 0 else p for p in question.places])
