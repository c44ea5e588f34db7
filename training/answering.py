"""Greedy answers to many questions about one document at once."""

import numpy as np
import torch

from model import Glm4v
from prompts import Batch, Grid, embed, layout
from questions import END, Question

LONGEST_ANSWER = 90


@torch.no_grad()
def answer(model: Glm4v, tokens: torch.Tensor, grid: Grid, prompts: list[list[int]]) -> list[str]:
    """tokens [1, pages · cells, hidden]; prompts as ids, up to where the answer starts."""
    written = [list(prompt) for prompt in prompts]
    done = [False] * len(written)
    past = None
    for _ in range(LONGEST_ANSWER):
        batch = Batch([[Question(ids, ids, ids, "ask") for ids in written]])
        positions, blocks = layout(batch, grid, tokens.device)
        rows = embed(model, tokens, batch, grid)
        if past is None:
            everything = tuple(range(len(model.decoder.layers)))
            _, past = model(rows[:, : grid.prefix], positions[:, :, : grid.prefix], watch=everything)
        hidden, _ = model(rows[:, grid.prefix :], positions[:, :, grid.prefix :], blocks, past=past)
        ends = np.cumsum([len(ids) for ids in written]) - 1
        best = model.lm_head(hidden[0, torch.from_numpy(ends)]).argmax(-1).tolist()
        for n, token in enumerate(best):
            if not done[n]:
                written[n].append(token)
                done[n] = token == END or token >= 256
        if all(done):
            break
    return [bytes(t for t in ids[len(prompt) :] if t < 256).decode("latin-1") for ids, prompt in zip(written, prompts)]
