"""Which samples a stage draws, and how often."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from .questions.engine import Questions
from .samples import Sample
from .sources import Documents, Pages, Reading

MIXTURES = {
    # pages of written tokens, with enough plain text that it stays a language model
    "read": {"transcription": 0.74, "continuation": 0.13, "plain": 0.13},
    # reading first, questions beside it
    "read_and_ask": {"transcription": 0.38, "continuation": 0.07, "ask_pages": 0.3, "ask_text": 0.2, "plain": 0.05},
    # questions first, reading kept alive
    "ask": {"transcription": 0.13, "continuation": 0.06, "ask_pages": 0.55, "ask_text": 0.2, "plain": 0.06},
    # both, where the pages are read badly yet
    "see_and_ask": {"transcription": 0.3, "continuation": 0.08, "ask_pages": 0.42, "ask_text": 0.15, "plain": 0.05},
    # what the second look reads, beside pages
    "second_look": {"transcription": 0.12, "continuation": 0.04, "ask_pages": 0.24, "ask_passages": 0.36, "ask_text": 0.18, "plain": 0.06},
    # text alone: the baseline, and a teacher
    "ask_text": {"ask_text": 0.8, "plain": 0.2},
}


PASSAGES_OF = (400, 9000)
"""characters of the documents that passages are read of"""


@dataclass
class Lengths:
    """How long sequences are: `longest` mostly, and up to `most` in some pools."""

    longest: int
    most: int = 0
    long_share: float = 0.0

    def of_pool(self, rng: random.Random) -> int:
        if rng.random() >= self.long_share:
            return self.longest
        return int(self.longest * (self.most / self.longest) ** rng.random())


class Mixture:
    def __init__(self, documents: Documents, pages: Pages, name: str, lengths: Lengths, held_out: bool = False):
        self.documents, self.pages, self.name, self.lengths, self.held_out = documents, pages, name, lengths, held_out
        self.weights = MIXTURES[name]
        longest = lengths.longest
        reading = Reading(documents, pages, (min(150, longest), longest))
        # Cells hold two tokens and more: a text of so many characters fits as pages, and often as text.
        questions = Questions(documents, pages, (min(150, longest), longest * 3), held_out=held_out)
        of_long_texts = Questions(documents, pages, PASSAGES_OF, held_out=held_out)
        makers: dict[str, Callable[[random.Random, float], Sample]] = {
            "transcription": reading.transcription,
            "continuation": reading.continuation,
            "ask_pages": questions.on_pages,
            "ask_passages": lambda rng, dense: of_long_texts.on_passages(rng),
            "ask_text": lambda rng, dense: questions.on_text(rng),
            "plain": lambda rng, dense: reading.plain(rng),
        }
        self.makers = {kind: makers[kind] for kind in self.weights}

    def of_pool(self, rng: random.Random) -> "Mixture":
        """The same mixture with one width of pages, one height, and one length."""
        lengths = Lengths(self.lengths.of_pool(rng))
        return Mixture(self.documents, self.pages.of_pool(rng), self.name, lengths, self.held_out)

    def sample(self, rng: random.Random, dense: float, kind: str | None = None) -> Sample:
        while True:
            chosen = kind or rng.choices(list(self.weights), list(self.weights.values()))[0]
            sample = self.makers[chosen](rng, dense * rng.random() ** 0.5)
            if any(sample.learn) and len(sample.ids) <= self.lengths.longest:
                return sample
