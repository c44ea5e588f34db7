"""Held-out questions, decoded freely: the same ones on text and on pages; absent ones; transcription.

    python -m reader.measure --base runs/base --corpus runs/corpus --state runs/joint/state.pt --samples 100 --json figures.json

Documents, phrasings and seeds are held out. Pages are seen where the state has a tower, else written. An answer is right
if it holds the value as the document writes it; "not found" is right for absent ones alone. 95 % intervals are Wilson's.
"""

import argparse
import json
import random
from pathlib import Path

import torch

from .base_weights import load_base
from .batches import Batch, embed_seen, embed_written, make_batch
from .evaluate_language import DECODED, answer_of, prefix_agreement
from .language_model import LanguageModel
from .mixture import Lengths, Mixture
from .packing import Packing
from .samples import Sample
from .sources import Documents, Pages
from .tokens import TextTokens
from .tower import Tower, TowerConfig


def wilson(right: int, n: int) -> tuple[float, float]:
    if not n:
        return 0.0, 1.0
    z, p = 1.96, right / n
    middle, half = p + z * z / (2 * n), z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


class Reader:
    def __init__(self, args: argparse.Namespace):
        self.device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
        self.tokens = TextTokens(args.base / "tokenizer.json")
        self.model = LanguageModel.from_base(load_base(args.base))
        self.packing, self.tower = Packing(), None
        if args.state:
            state = torch.load(args.state, map_location="cpu", weights_only=True)
            self.model.load_state_dict({"embed_tokens.weight": self.model.embed_tokens.weight, **state["model"]})
            self.packing.load_state_dict(state["packing"])
            if "tower" in state:
                self.tower = Tower(TowerConfig(**state["config"])).to(self.device).eval()
                self.tower.load_state_dict(state["tower"])
        self.model.to(self.device).eval()
        self.packing.to(self.device)

    def embed(self, batch: Batch) -> torch.Tensor:
        if self.tower is not None:
            return embed_seen(self.model, self.tower, batch)
        return embed_written(self.model, self.packing, batch)

    @torch.no_grad()
    def answer(self, sample: Sample, most: int = DECODED) -> tuple[list[int], float]:
        """Token ids, and the product of their probabilities."""
        cut = sample.answer_from
        prompt = Sample(sample.kind, sample.ids[:cut], sample.positions[:cut], sample.learn[:cut], sample.page)
        batch = make_batch([prompt]).to(self.device)
        ids, sure = self.model.generate(self.embed(batch), most, positions=batch.positions)
        product = 1.0
        for chance in sure:
            product *= chance
        return ids, product


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--state", type=Path, help="default: the base itself")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--longest", type=int, default=1000, help="positions of a sequence, at most")
    parser.add_argument("--dense", type=float, default=0.5, help="0: two rows to a cell, wide type; 1: three and small type too")
    parser.add_argument("--kinds", nargs="+", choices=("text", "pages", "transcription"), default=("text", "pages", "transcription"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--show", action="store_true", help="print every question and answer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    reader = Reader(args)
    pages = Pages(reader.tokens, drawn=reader.tower is not None)
    mixture = Mixture(Documents(args.corpus / "heldout.jsonl"), pages, "ask", Lengths(args.longest), held_out=True)
    counts: dict[str, list[int]] = {}
    agreement: list[float] = []
    cells = tokens = 0

    def note(name: str, right: bool) -> None:
        entry = counts.setdefault(name, [0, 0])
        entry[0] += right
        entry[1] += 1

    for i in range(args.samples):
        rng = random.Random(f"measure-{i}")
        if "transcription" in args.kinds:
            sample = mixture.sample(rng, args.dense, "transcription")
            agreement.append(prefix_agreement(answer_of(sample), reader.answer(sample)[0]))
        sample = mixture.sample(rng, args.dense, "ask_pages")
        turn = sample.turns[0]
        cells, tokens = cells + len(sample.page.kept), tokens + len(set(zip(sample.page.cells.cell, sample.page.cells.token, strict=True)))
        for kind, asked in (("text", sample.teacher), ("pages", sample)):
            if kind not in args.kinds:
                continue
            ids, sure = reader.answer(asked)
            said = reader.tokens.text(ids)
            missing = said.lower().startswith("not found")
            if args.show:
                print(json.dumps({"kind": kind, "relation": turn.relation, "question": turn.question, "value": turn.value, "said": said, "sure": round(sure, 3)}))
            if turn.relation == "absent":
                note(f"{kind}, absent recognised", missing)
                continue
            right = turn.value.lower() in said.lower()
            note(f"{kind}, right", right)
            note(f"{kind}, false not found", missing)
            note(f"{kind}, {'generated' if turn.relation.startswith('generated') else 'real'} documents, right", right)
    figures = {name: {"share": n / of, "low": wilson(n, of)[0], "high": wilson(n, of)[1], "n": of} for name, (n, of) in sorted(counts.items())}
    if agreement:
        figures["transcription, tokens in order"] = {"share": sum(agreement) / len(agreement), "n": len(agreement)}
    figures["tokens a visual token"] = {"share": tokens / max(1, cells), "n": cells}
    for name, f in figures.items():
        interval = f"{100 * f['low']:6.1f} – {100 * f['high']:5.1f}" if "low" in f else ""
        print(f"{name:45} {f['share'] if name.startswith('tokens') else 100 * f['share']:7.2f}  {interval:16} n = {f['n']}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
