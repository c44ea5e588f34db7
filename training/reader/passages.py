"""What the second look reads of a document, for training: `src/pipeline/expanding` in short.

Lines and sentences that share words with the question (BM25), those beside them, and the first line for its headings,
in the order of the text, within a budget; gaps are marked.
"""

import math
import random
import re
from collections import Counter

GAP = "\n…\n"
FROM_BEFORE, FROM_BEHIND, FROM_HEADING = 0.5, 0.25, 0.25
K1, B, DELTA = 1.2, 0.7, 0.5
"""as MiniSearch has them"""
LONGEST_UNIT = 600
SENTENCE = re.compile(r"[^\n]+?(?:[.!?]+[\"')]*(?= )|(?=\n)|$) ?")


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def units_of(text: str) -> list[tuple[int, int]]:
    """Lines, and sentences of long ones: half-open ranges."""
    units = []
    for line in re.finditer(r"[^\n]+", text):
        if not line[0].strip():
            continue
        if line.end() - line.start() <= 120:
            units.append(line.span())
            continue
        for sentence in SENTENCE.finditer(text, line.start(), line.end()):
            for start in range(*sentence.span(), LONGEST_UNIT):
                units.append((start, min(start + LONGEST_UNIT, sentence.end())))
    return units


def scores(texts: list[str], question: str) -> list[float]:
    """BM25+ of each text."""
    counts = [Counter(words_of(t)) for t in texts]
    lengths = [sum(c.values()) for c in counts]
    mean = sum(lengths) / max(1, len(lengths)) or 1.0
    out = [0.0] * len(texts)
    for word in set(words_of(question)):
        holding = [i for i, c in enumerate(counts) if word in c]
        rarity = math.log(1 + (len(texts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for i in holding:
            often = counts[i][word]
            out[i] += rarity * (DELTA + often * (K1 + 1) / (often + K1 * (1 - B + B * lengths[i] / mean)))
    return out


def read_passages(rng: random.Random, text: str, question: str, room: int, value: str = "") -> str:
    """room: characters. A unit with `value` is read in any case (of several, the one that scores best)."""
    units = units_of(text)
    texts = [text[start:end] for start, end in units]
    own = scores(texts, question)
    best = max(own, default=0.0)
    beside = lambda i, share: share * own[i] if 0 <= i < len(own) else 0.0  # noqa: E731
    total = [max(s + max(beside(i - 1, FROM_BEFORE), beside(i + 1, FROM_BEHIND)), FROM_HEADING * best if i == 0 else 0.0) for i, s in enumerate(own)]
    order = sorted((i for i, s in enumerate(total) if s > 0), key=lambda i: -total[i])
    holding = [i for i, t in enumerate(texts) if value and value.lower() in t.lower()]
    if holding:
        order.insert(0, max(holding, key=lambda i: total[i]))
    chosen: set[int] = set()
    for i in order:
        if len(texts[i]) + len(GAP) <= room and i not in chosen:
            room -= len(texts[i]) + len(GAP)
            chosen.add(i)
    parts, before = [], None
    for i in sorted(chosen):
        if before == i - 1:
            parts[-1] = (parts[-1][0], units[i][1])
        else:
            parts.append(units[i])
        before = i
    return GAP.join(text[start:end].rstrip() for start, end in parts)
