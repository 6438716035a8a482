"""Feeding a model: store -> windows -> ids -> GeneMask -> batch, ours and by torch DataLoader.

    python benchmarks/pipeline.py

A random genome, windows of up to 510 bp, 256 to a batch. The raw loop calls the same functions with nothing between
them: what any pipeline can at most reach on one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from side_by_side import arguments, measure, milliseconds, ratio, report, table
from torch.utils.data import DataLoader, Dataset

from cmgems.config import Component
from cmgems.genome import GenomeStore, Split
from cmgems.masking import MaskedBatch, Masker, MaskingConfig
from cmgems.pmi import PMITable
from cmgems.pretraining import GenomeData, PretrainingData
from cmgems.pretraining.nodes import WindowBatch
from cmgems.tokenization import KmerTokenizer

BATCH = 256
TOKENIZER = KmerTokenizer(6)
NODES, ALONE, RAW, BATCHES, ITEMS = "nodes", "nodes without thread", "raw", "batches", "items"
LABELS = {
    NODES: "cmgems pipeline (torchdata nodes, one prefetching thread)",
    ALONE: "cmgems pipeline, no thread",
    RAW: "raw loop",
    BATCHES: "torch DataLoader, an item is a batch, 2 worker processes",
    ITEMS: "torch DataLoader, an item is a sequence, 2 worker processes",
}
# Batches that may lie ready when a turn begins; they are taken before the clock starts.
READY = 8


class Windows(Dataset[tuple[torch.Tensor, ...]]):
    """The first epoch's windows, ``size`` of them an item, masked."""

    def __init__(self, data: PretrainingData, masker: Masker, size: int) -> None:
        self.data, self.masker, self.size = data, masker, size
        self.starts_N, self.lengths_N = data.epoch_windows(0)

    def __len__(self) -> int:
        return len(self.starts_N) // self.size

    def __getitem__(self, item: int) -> tuple[torch.Tensor, ...]:
        rows = slice(item * self.size, (item + 1) * self.size)
        samples = np.arange(rows.start, rows.stop, dtype=np.uint64)
        window = WindowBatch(self.starts_N[rows], self.lengths_N[rows], samples, 512)
        masked = self.masker.mask(self.data.tokenize(window).ids_BS, samples, 0)
        if self.size > 1:
            arrays = masked.ids_BS, masked.attention_BS, masked.positions_M, masked.labels_M
            return tuple(torch.from_numpy(array) for array in arrays)
        labels_S = np.full(masked.ids_BS.shape[1], -100, np.int64)
        labels_S[masked.positions_M] = masked.labels_M
        return torch.from_numpy(masked.ids_BS[0]), torch.from_numpy(labels_S)


def raw_loop(data: PretrainingData, masker: Masker) -> Iterator[MaskedBatch]:
    sample = 0
    for epoch in count():
        starts_N, lengths_N = data.epoch_windows(epoch)
        for first in range(0, len(starts_N) - BATCH + 1, BATCH):
            starts_B, lengths_B = starts_N[first : first + BATCH], lengths_N[first : first + BATCH]
            samples_B = np.arange(sample, sample + BATCH, dtype=np.uint64)
            sample += BATCH
            window = WindowBatch(starts_B, lengths_B, samples_B, data.padded_tokens(int(lengths_B.max())))
            ids = data.tokenize(window)
            yield masker.mask(ids.ids_BS, ids.samples_B, 0)


def endless(loader: DataLoader[tuple[torch.Tensor, ...]]) -> Iterator[object]:
    while True:
        yield from loader


def random_store(folder: Path, bases: int) -> GenomeStore:
    letters = np.frombuffer(b"ATCG", np.uint8)[np.random.default_rng(0).integers(0, 4, bases)]
    (folder / "genome.fa").write_bytes(b">random\n" + letters.tobytes() + b"\n")
    return GenomeStore.build([folder / "genome.fa"], folder / "store")


def candidates(folder: Path, bases: int) -> dict[str, Iterator[object]]:
    """Each way as an endless iterator of batches."""
    store = random_store(folder, bases)
    PMITable.build(store).save(folder / "pmi.safetensors")
    masking = MaskingConfig(Component("fixed", {"masking": "genemask"}), folder / "pmi.safetensors")

    def data_of(prefetch: int) -> PretrainingData:
        split = Split(block_bp=20_000)
        config = GenomeData(store=folder / "store", split=split, prefetch=prefetch)
        return PretrainingData(config, TOKENIZER, 512, seed=0)

    masker = Masker(masking, TOKENIZER, steps=1, seed=0)
    found: dict[str, Iterator[object]] = {RAW: raw_loop(data_of(0), masker)}
    for name, prefetch in ((NODES, 4), (ALONE, 0)):
        stream = data_of(prefetch).stream(masker, BATCH)
        stream.reset()
        found[name] = stream
    workers = partial(DataLoader, num_workers=2, persistent_workers=True)
    found[BATCHES] = endless(workers(Windows(data_of(0), masker, BATCH), batch_size=None))
    found[ITEMS] = endless(workers(Windows(data_of(0), masker, 1), batch_size=BATCH))
    return found


def main() -> None:
    options = arguments(__doc__ or "", "pipeline.md").parse_args()
    torch.set_num_threads(1)
    rounds = 2 if options.quick else options.rounds
    size = 2 if options.quick else 100
    with tempfile.TemporaryDirectory() as folder:
        streams = candidates(Path(folder), 400_000 if options.quick else 50_000_000)

        def take(name: str, batches: int = size) -> None:
            for _ in range(batches):
                next(streams[name])

        calls: dict[str, Callable[[], object]] = {name: partial(take, name) for name in LABELS}
        found = measure(calls, rounds, seconds=0, before=lambda name: take(name, READY))
    rows = [
        [
            LABELS[name],
            f"{milliseconds(found, name) / size:.3f}",
            f"{1e-3 * size * BATCH * 507 / milliseconds(found, name):.1f}",
            *(f"{ratio(found, other, name):.2f}" for other in (RAW, BATCHES, ITEMS)),
        ]
        for name in LABELS
    ]
    header = [
        "",
        "ms a batch",
        "M tokens/s",
        "times the raw loop's speed",
        "times batch items",
        "times single items",
    ]
    packages = ["torch", "torchdata", "numpy", "numba"]
    note = (
        f"{BATCH} sequences a batch, `genemask`; a turn is {size} batches after {READY} that are not timed."
    )
    report(options, "Feeding a model", "pipeline.py", rounds, packages, note, table(header, rows))


if __name__ == "__main__":
    main()
