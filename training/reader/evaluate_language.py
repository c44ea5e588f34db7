"""Held-out figures of the language side, decoding freely (teacher forcing flatters: one slip and the rest is right again)."""

import difflib
import math
import random
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import Batch, make_batch
from .language_model import LanguageModel
from .mixture import Mixture
from .samples import Sample
from .tokens import END, TextTokens

DECODED = 48
Embed = Callable[[Batch], Tensor]
"""embeddings [B, T, 576] of a batch: pages written or seen"""


def prefix_agreement(wanted: list[int], got: list[int]) -> float:
    """Share of the wanted tokens that are said in order (matching blocks)."""
    wanted = wanted[:DECODED]
    matched = sum(b.size for b in difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_matching_blocks())
    return matched / max(1, len(wanted))


def answer_of(sample: Sample) -> list[int]:
    """The first answer, or all of it where nothing is asked after it."""
    rest = sample.ids[sample.answer_from :]
    return rest[: rest.index(END)] if END in rest else rest


def decode(model: LanguageModel, embed: Embed, sample: Sample, device: torch.device, most: int) -> list[int]:
    prompt = replace(sample, ids=sample.ids[: sample.answer_from], positions=sample.positions[: sample.answer_from], learn=sample.learn[: sample.answer_from])
    batch = make_batch([prompt]).to(device)
    return model.generate(embed(batch), most, positions=batch.positions)[0]


def evaluate(model: LanguageModel, embed: Embed, mixture: Mixture, tokens: TextTokens, device: torch.device, dense: float, count: int) -> dict[str, float]:
    """`count` held-out samples of each kind; they are the same in every evaluation of one density."""
    figures: dict[str, float] = {}
    for kind in mixture.weights:
        loss, right, total, agreement, exact = 0.0, 0, 0, [], []
        for i in range(count):
            sample = mixture.sample(random.Random(f"heldout-{kind}-{i}"), dense, kind)
            batch = make_batch([sample]).to(device)
            hidden = model(embed(batch), batch.positions).flatten(0, 1)[batch.targets]
            logits = model.logits(hidden).float()
            loss += F.cross_entropy(logits, batch.labels, reduction="sum").item()
            right += (logits.argmax(-1) == batch.labels).sum().item()
            total += len(batch.labels)
            if kind == "plain":
                continue
            answer = answer_of(sample)
            got = decode(model, embed, sample, device, min(DECODED, len(answer) + 4))
            if sample.turns:
                # The first question alone, as users ask: the value as the document writes it.
                exact.append(float(sample.turns[0].value.lower() in tokens.text(got).lower()))
            else:
                agreement.append(prefix_agreement(answer, got))
                exact.append(float(got[: len(answer)] == answer[:DECODED]))
        figures[f"{kind}_loss"], figures[f"{kind}_forced"] = loss / total, right / total
        if agreement:
            figures[f"{kind}_free"] = sum(agreement) / len(agreement)
        if exact:
            figures[f"{kind}_exact"] = sum(exact) / len(exact)
        if kind == "plain":
            figures["plain_perplexity"] = math.exp(loss / total)
    return figures
