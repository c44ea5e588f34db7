"""What the decoder's circuit (construct.py) does before any training, on written tokens of held-out pages.

    python training/check_circuit.py --documents 5
"""

import argparse
import random

import torch

from construct import OUT, QUESTION_LAYER, SLOT_HEADS, block, characters, construct
from corpus import TextSource, find_texts
from model import Glm4v, ReaderConfig
from prompts import Grid, embed, layout
from questions import NOWHERE
from run_folder import pick_device
from slots import CLASSES
from train_decoder import MISREAD, QuestionMaker, TokenCode, answer_losses, misread

# The heads of the question's layer need this much of the subject before they can say what follows.
BEGUN = 4


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5)
    args = parser.parse_args()

    device = pick_device("cpu")
    torch.manual_seed(2)
    model = Glm4v(ReaderConfig())
    construct(model)
    code, codes = TokenCode(model.config.hidden_size), characters(torch.Generator().manual_seed(8))
    maker = QuestionMaker(TextSource(find_texts(held_out=True)))
    rng, grid = random.Random("circuit"), Grid(30, 21)
    found, repeated, silent, value = [], [], [], []
    for _ in range(args.documents):
        windows, batch = maker.batch(rng, grid, 1, 14)
        windows = torch.from_numpy(windows)
        tokens = code(misread(windows, MISREAD))
        losses = answer_losses(model, tokens, windows, batch, grid)
        found.append(losses.pointer_right.item())
        right = torch.zeros(batch.ids.size, dtype=torch.bool)
        right[losses.asked] = losses.right
        positions, blocks = layout(batch, grid, device)
        rows = embed(model, tokens, batch, grid)
        _, watched = model(rows, positions, blocks, watch=(QUESTION_LAYER, *SLOT_HEADS))
        asking = model.decoder.layers[QUESTION_LAYER].self_attn
        said = asking.output(blocks.attend(*watched[0]))[0, grid.prefix :, block(OUT)] @ codes.T
        quiet = torch.stack(
            [
                ((q[0, : len(slots), grid.prefix :] @ k[0, : len(slots), : grid.prefix].mT).argmax(-1) == 0).all(0)
                for (q, k, _), slots in zip(watched[1:], SLOT_HEADS.values())
            ]
        ).all(0)
        start = 0
        for question in batch.questions[0]:
            if question.kind in ("look-up", "absent"):
                subject = [i for i, place in enumerate(question.places) if place == NOWHERE and question.labels[i] != -100]
                for i in subject[BEGUN:]:
                    character = question.labels[i] - 32
                    repeated.append(0 <= character < CLASSES and said[start + i].argmax().item() == character)
                    silent.append(quiet[start + i].item())
            if question.kind == "look-up":
                first, last = question.value
                value += right[start + first : start + last].tolist()
            start += len(question.ids)

    def share(values: list) -> str:
        return f"{100 * sum(values) / len(values):.0f} of 100"

    print(f"characters of a question's subject repeated, from the fifth on   {share(repeated)}   ({len(repeated)})")
    print(f"page silent meanwhile                                            {share(silent)}")
    print(f"next character of the page found                                 {share(found)}   ({args.documents} pages)")
    print(f"characters of values right, their beginnings given               {share(value)}   ({len(value)})")


if __name__ == "__main__":
    main()
