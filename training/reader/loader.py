"""Samples from worker processes, in an order that depends on nothing but the seed and how many were drawn."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .mixture import Mixture
from .samples import Sample


class Drawn(IterableDataset):
    """Sample number n, n + workers, ... of one worker.

    dense: one number in shared memory, which the trainer raises; workers draw a few samples ahead of it.
    """

    def __init__(self, mixture: Mixture, seed: int, first: int, dense: Tensor):
        self.mixture, self.seed, self.first, self.dense = mixture, seed, first, dense

    def __iter__(self) -> Iterator[Sample]:
        info = get_worker_info()
        if info:
            torch.set_num_threads(1)
        number, step = (self.first + info.id, info.num_workers) if info else (self.first, 1)
        while True:
            yield self.mixture.sample(random.Random(f"train-{self.seed}-{number}"), self.dense.item())
            number += step


def draw_samples(mixture: Mixture, seed: int, first: int, dense: Tensor, workers: int) -> Iterator[Sample]:
    dataset = Drawn(mixture, seed, first, dense.share_memory_())
    if not workers:
        return iter(dataset)
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=64))
