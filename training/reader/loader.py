"""Batches from worker processes, in an order that depends on nothing but the seed and how many pools were drawn."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .batches import Batch, make_batch
from .mixture import Mixture
from .samples import Sample

# Few lengths of sequences where code is compiled.
LENGTHS = (256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192)


@dataclass
class BatchSize:
    """How samples become batches."""

    micro: int
    """positions that are computed at once"""
    pool: int = 4
    """batches that are sorted by length together, so that little is padded"""
    padded: bool = False
    """to LENGTHS and full counts"""
    teacher: bool = False


class DrawnBatches(IterableDataset):
    """The batches of pool number n, n + workers, ... of one worker.

    A pool has one width of pages, so that they stack. dense: one number in shared memory, which the trainer raises.
    """

    def __init__(self, mixture: Mixture, size: BatchSize, seed: int, first: int, dense: Tensor):
        self.mixture, self.size, self.seed, self.first, self.dense = mixture, size, seed, first, dense

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        if info:
            torch.set_num_threads(1)
        number, step = (self.first + info.id, info.num_workers) if info else (self.first, 1)
        while True:
            rng = random.Random(f"train-{self.seed}-{number}")
            batches = list(pool_batches(self.pool(rng), self.size))
            rng.shuffle(batches)
            for batch in batches:
                batch.pool = number
                yield batch
            number += step

    def pool(self, rng: random.Random) -> list[Sample]:
        view = self.mixture.of_pool(rng)
        samples: list[Sample] = []
        while sum(len(s.ids) for s in samples) < self.size.micro * self.size.pool:
            samples.append(view.sample(rng, self.dense.item()))
        return samples


def pool_batches(samples: list[Sample], size: BatchSize) -> Iterator[Batch]:
    samples = sorted(samples, key=lambda s: len(s.ids))
    while samples:
        longest = len(samples[-1].ids)
        length = next(n for n in LENGTHS if n >= longest) if size.padded else longest
        count = max(1, size.micro // length)
        part, samples = samples[-count:], samples[:-count]
        yield make_batch(part, length if size.padded else None, count if size.padded else None, size.teacher)


def draw_batches(mixture: Mixture, size: BatchSize, seed: int, first: int, dense: Tensor, workers: int) -> Iterator[Batch]:
    dataset = DrawnBatches(mixture, size, seed, first, dense.share_memory_())
    if not workers:
        return iter(dataset)
    # In-order delivery would wait for the slowest pool.
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=6, in_order=False))
