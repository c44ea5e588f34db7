"""Which samples a stage draws, and how often."""

import random
from collections.abc import Callable

from .questions.engine import Questions
from .samples import Sample
from .sources import Documents, Pages, Reading

MIXTURES = {
    # pages of written tokens, with enough plain text that it stays a language model
    "read": {"transcription": 0.74, "continuation": 0.13, "plain": 0.13},
    # reading first, questions beside it
    "read_and_ask": {"transcription": 0.5, "continuation": 0.1, "ask_pages": 0.2, "ask_text": 0.14, "plain": 0.06},
    # questions first, reading kept alive
    "ask": {"transcription": 0.15, "continuation": 0.1, "ask_pages": 0.45, "ask_text": 0.22, "plain": 0.08},
    # text alone: the baseline, and a teacher
    "ask_text": {"ask_text": 0.8, "plain": 0.2},
}


class Mixture:
    def __init__(self, documents: Documents, pages: Pages, name: str, longest: int, held_out: bool = False):
        reading = Reading(documents, pages, (min(150, longest), longest))
        # Cells hold two tokens and more: a text of so many characters fits as pages, and often as text.
        questions = Questions(documents, pages, (min(150, longest), longest * 3), held_out=held_out)
        makers: dict[str, Callable[[random.Random, float], Sample]] = {
            "transcription": reading.transcription,
            "continuation": reading.continuation,
            "ask_pages": questions.on_pages,
            "ask_text": lambda rng, dense: questions.on_text(rng),
            "plain": lambda rng, dense: reading.plain(rng),
        }
        self.longest = longest
        self.weights = MIXTURES[name]
        self.makers = {kind: makers[kind] for kind in self.weights}

    def sample(self, rng: random.Random, dense: float, kind: str | None = None) -> Sample:
        while True:
            chosen = kind or rng.choices(list(self.weights), list(self.weights.values()))[0]
            sample = self.makers[chosen](rng, dense * rng.random() ** 0.5)
            if any(sample.learn) and len(sample.ids) <= self.longest:
                return sample
