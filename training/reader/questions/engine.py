"""Passages with questions: real documents by rules, generated ones, absent answers; on text and on pages."""

import random
from functools import lru_cache

from ..passages import read_passages
from ..samples import Page, Sample, conversation
from ..sources import Documents, Pages
from .fact import Fact, Turn
from .generated import generated_document
from .phrasings import NOT_FOUND, PHRASINGS
from .prose import prose_facts
from .records import record_facts
from .written import render, without_evidence, written_documents

ABSENT_SHARE = 0.14
GENERATED_SHARE, WRITTEN_SHARE = 0.17, 0.38
UNTOLD_SHARE = 0.15
MOST_TURNS = 6
# Of passages: room in characters, turns, and how often a passage with the answer is read though the words do not find it.
PASSAGES_ROOM = (200, 1400)
PASSAGES_TURNS = 3
HELPED_SHARE = 0.7
# Rules that find much are not asked more than others.
RELATION_WEIGHTS = {"field": 0.35, "yes": 0.25, "no": 0.8, "definition": 1.3, "option_does": 0.6, "list_count": 0.4, "means": 0.6, "about": 0.6, "licence": 0.5}


def find_facts(text: str, kind: str) -> list[Fact]:
    found = [*record_facts(text, kind), *(() if kind in ("code", "data") else prose_facts(text))]
    return [f for f in found if 0 < len(f.value) < 240 and "{" not in "".join(f.slots.values())]


def found_in(turn: Turn, text: str) -> bool:
    return len(turn.value) > 1 and turn.value.lower() in text.lower()


class Questions:
    def __init__(self, documents: Documents, pages: Pages, length: tuple[int, int], held_out: bool = False):
        self.documents, self.pages, self.length, self.held_out = documents, pages, length, held_out
        self.tokens = pages.tokens
        self.facts = lru_cache(4000)(self._facts)

    def _facts(self, kind: str, index: int) -> list[Fact]:
        document = self.documents.by_kind[kind][index]
        if "facts" in document:
            return [Fact(**fact) for fact in document["facts"]]
        return find_facts(document["text"], kind)

    def turn(self, rng: random.Random, fact: Fact) -> Turn:
        question, answer = PHRASINGS[fact.relation].pick(rng, fact.slots, self.held_out)
        return Turn(question, answer, fact.value, fact.relation, fact.whole)

    def real(self, rng: random.Random) -> tuple[str, list[Turn]]:
        """A stretch of a real document and what it answers."""
        while True:
            kind = rng.choices(self.documents.kinds, self.documents.weights)[0]
            index = rng.randrange(len(self.documents.by_kind[kind]))
            facts = self.facts(kind, index)
            if not facts:
                continue
            text = self.documents.by_kind[kind][index]["text"]
            relation = rng.choices(sorted({f.relation for f in facts}), [RELATION_WEIGHTS.get(r, 1.0) for r in sorted({f.relation for f in facts})])[0]
            wanted = rng.choice([f for f in facts if f.relation == relation])
            room = max(rng.randint(*self.length), wanted.end - wanted.start + 20)
            if wanted.whole and wanted.end > room:
                continue
            start = 0 if wanted.whole else max(0, wanted.start - rng.randint(0, max(0, room - (wanted.end - wanted.start))))
            if start:
                line = text.rfind("\n", 0, start) + 1
                start = line if start - line < 200 else min(wanted.start, text.find(" ", start) + 1)
            end = max(wanted.end, min(len(text), start + room))
            if end < len(text):
                end = max(text.rfind(" ", wanted.end, end), wanted.end)
            others = [f for f in facts if start <= f.start and f.end <= end and (not f.whole or start == 0) and f is not wanted]
            rng.shuffle(others)
            others = [f for f in others if rng.random() < RELATION_WEIGHTS.get(f.relation, 1.0)]
            chosen = [wanted, *others[: MOST_TURNS - 1]]
            return text[start:end].strip("\n"), [self.turn(rng, f) for f in chosen]

    def generated(self, rng: random.Random) -> tuple[str, list[Turn]]:
        """A generated document, often among other text."""
        _, text, turns = generated_document(rng, self.held_out)
        return self.among_others(rng, text), turns

    def written(self, rng: random.Random) -> tuple[str, list[Turn]]:
        """A document written for training, often among other text."""
        text, turns = render(rng, rng.choice(written_documents(self.held_out)))
        if rng.random() < UNTOLD_SHARE:
            text, turns = without_evidence(rng, text, turns)
        rng.shuffle(turns)
        return self.among_others(rng, text), turns

    def among_others(self, rng: random.Random, text: str) -> str:
        room = rng.randint(*self.length) - len(text)
        if room > 150 and rng.random() < 0.6:
            around = self.documents.passage(rng, room // 2, room)
            cut = around.find("\n", rng.randrange(len(around)))
            cut = cut if cut >= 0 else len(around)
            text = f"{around[:cut].rstrip()}\n\n{text}\n\n{around[cut:].lstrip()}".strip()
        return text

    def passage(self, rng: random.Random) -> tuple[str, list[Turn]]:
        chosen = rng.random()
        if chosen < WRITTEN_SHARE and written_documents(self.held_out):
            text, turns = self.written(rng)
            return text, turns[: rng.randint(1, MOST_TURNS)]
        text, turns = self.generated(rng) if chosen < WRITTEN_SHARE + GENERATED_SHARE else self.real(rng)
        turns = turns[: rng.randint(1, MOST_TURNS)]
        for i in range(len(turns)):
            if rng.random() < ABSENT_SHARE:
                turns[i] = self.absent(rng, text)
        return text, turns

    def absent(self, rng: random.Random, text: str) -> Turn:
        """A question of another document, whose names do not stand in this one."""
        while True:
            _, turns = self.generated(rng) if rng.random() < 0.5 else self.real(rng)
            turn = rng.choice(turns)
            names = [w for w in turn.question.rstrip("?.").split() if len(w) > 3 and (not w.islower() or len(w) > 6)]
            if turn.relation in ("about", "latest", "licence", "copyright", "author") or turn.value in text:
                continue
            if names and sum(n.lower() in text.lower() for n in names) <= len(names) // 2:
                return Turn(turn.question, NOT_FOUND, "Not found", "absent")

    def sample(self, kind: str, source: Page | list[int], turns: list[Turn]) -> Sample:
        said = [(self.tokens.ids(turn.question), self.tokens.ids(turn.answer)) for turn in turns]
        sample = conversation(self.tokens, kind, source, said)
        sample.turns = turns
        return sample

    def on_text(self, rng: random.Random) -> Sample:
        text, turns = self.passage(rng)
        return self.sample("ask_text", self.tokens.ids(text), turns)

    def on_passages(self, rng: random.Random) -> Sample:
        """A question over what the second look reads of a document, and others that this answers as well."""
        while True:
            text, turns = self.passage(rng)
            turns = [turn for turn in turns if not turn.whole and (turn.relation == "absent" or found_in(turn, text))]
            if turns:
                break
        asked = turns[0]
        helped = asked.value if asked.relation != "absent" and rng.random() < HELPED_SHARE else ""
        read = read_passages(rng, text, asked.question, rng.randint(*PASSAGES_ROOM), helped)
        if asked.relation != "absent" and not found_in(asked, read):
            asked = Turn(asked.question, NOT_FOUND, "Not found", "absent")
        others = [turn for turn in turns[1:] if turn.relation == "absent" or found_in(turn, read)]
        return self.sample("ask_passages", self.tokens.ids(read), [asked, *others[: PASSAGES_TURNS - 1]])

    def on_pages(self, rng: random.Random, dense: float) -> Sample:
        text, turns = self.passage(rng)
        page, ids = self.pages.page(rng, text, dense, drops=True)
        sample = self.sample("ask_pages", page, turns)
        sample.teacher = self.sample("ask_text", ids, turns)
        return sample
