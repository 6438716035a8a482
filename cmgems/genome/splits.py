"""Hold out a part of the genome for validation, by block or by contig.

Neighbouring windows share repeats and composition, so validation windows drawn at random among training windows
look easier than they are. Held-out stretches are long instead, and no window crosses their borders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError, DataError
from cmgems.genome.layout import Positions
from cmgems.genome.store import GenomeStore
from cmgems.registry import did_you_mean

MOST = 2.0


@dataclass(frozen=True)
class Split:
    """What to hold out.

    Attributes:
        by: "block" cuts every contig into blocks and draws some of them; "contig" holds out whole contigs.
        fraction: Share of the valid bases to hold out: so much or a little more; of whole contigs as their sizes allow,
            seldom more than ``MOST`` times it.
        block_bp: Length of a block (bp).
        contigs: With "contig": the ones to hold out; if none, they are drawn.
        seed: Of the draw.
    """

    by: Literal["block", "contig"] = "block"
    fraction: float = 0.05
    block_bp: int = 100_000
    contigs: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in ("block", "contig"):
            raise CmgemsError(f"`by` must be block or contig, but is {self.by!r}")
        if not 0 < self.fraction < 1:
            raise CmgemsError(f"`fraction` must be between 0 and 1, but is {self.fraction}")
        if self.block_bp < 1:
            raise CmgemsError(f"`block_bp` must be at least 1, but is {self.block_bp}")
        if self.contigs and self.by != "contig":
            raise CmgemsError("`contigs` is set but `by` is block", fix="set `by` to contig")
        if not 0 <= self.seed < 2**64:
            raise CmgemsError(f"`seed` must be from 0 to 2^64 - 1, but is {self.seed}")


def split_runs(store: GenomeStore, split: Split) -> tuple[Positions, Positions]:
    """Split the valid runs of ``store`` into training and validation.

    Returns:
        ``(train_runs, validation_runs)``, each int64[., 2] in flat coordinates, sorted, disjoint; together
        they cover every valid base. A run is cut only at a border between training and validation.

    Raises:
        DataError: if the genome has no base, either side would be empty, or a named contig is not in the store.
    """
    if not len(store.runs):
        raise DataError(
            "no bases", where=store.folder, why="the genome has no A, C, G or T", fix="build it from others"
        )
    if split.by == "block":
        blocks = _block_starts(store, split.block_bp)
        held_out = _drawn(store, blocks, split)
    else:
        blocks = store.offsets[:-1]
        held_out = _named(store, split) if split.contigs else _drawn(store, blocks, split)

    borders = blocks[1:][held_out[1:] != held_out[:-1]]
    runs = _cut(store.runs, borders)
    validation = held_out[np.searchsorted(blocks, runs[:, 0], side="right") - 1]
    sides = {"training": runs[~validation], "validation": runs[validation]}
    for side, its_runs in sides.items():
        if not len(its_runs):
            raise DataError(
                f"no bases left for {side}",
                where=store.folder,
                why=f"split by {split.by}, {len(blocks):,} in all, {held_out.sum():,} held out",
                fix="set a smaller `data.split.block_bp`"
                if split.by == "block"
                else "split by block, or name other contigs",
            )
    return sides["training"], sides["validation"]


def _block_starts(store: GenomeStore, block_bp: int) -> Positions:
    """Flat starts of the blocks, int64; each contig begins a new one."""
    counts = -(-np.diff(store.offsets) // block_bp)
    first = np.cumsum(counts) - counts
    within = np.arange(counts.sum()) - np.repeat(first, counts)
    starts: Positions = np.repeat(store.offsets[:-1], counts) + within * block_bp
    return starts


def _drawn(store: GenomeStore, blocks: Positions, split: Split) -> npt.NDArray[np.bool_]:
    """bool, one a block: drawn without replacement until ``fraction`` of the valid bases are held out.

    Contigs that would bring it above ``MOST`` times that are passed over. If the others come to little, the smallest of
    those is taken after all, unless it is most of the genome.
    """
    valid = np.diff(store.valid_before(np.append(blocks, store.bases)))
    order = np.random.Generator(np.random.Philox(split.seed)).permutation(np.flatnonzero(valid))
    wanted = split.fraction * valid.sum()
    most = MOST * wanted if split.by == "contig" else math.inf
    held_out, held = np.zeros(len(blocks), dtype=np.bool_), 0
    for block, bases in zip(order.tolist(), valid[order].tolist(), strict=True):
        if held < wanted and held + bases <= most:
            held_out[block], held = True, held + bases
    left = order[~held_out[order]]
    if held < wanted / MOST and len(left):
        smallest = left[valid[left].argmin()]
        held_out[smallest] = valid[smallest] <= valid.sum() / 2
    return held_out


def _named(store: GenomeStore, split: Split) -> npt.NDArray[np.bool_]:
    index = {name: i for i, name in enumerate(store.names)}
    for name in split.contigs:
        if name not in index:
            raise DataError(
                f"unknown contig {name!r}", where=store.folder, fix=did_you_mean(name, store.names)
            )
    held_out = np.zeros(len(store.names), dtype=np.bool_)
    held_out[[index[name] for name in split.contigs]] = True
    return held_out


def _cut(runs: Positions, borders: Positions) -> Positions:
    """``runs`` cut at those ``borders`` that lie inside one."""
    run = np.searchsorted(runs[:, 0], borders, side="left") - 1
    inside = borders[(run >= 0) & (borders < runs[run, 1])] if len(runs) else borders[:0]
    starts = np.sort(np.concatenate([runs[:, 0], inside]))
    ends = np.sort(np.concatenate([runs[:, 1], inside]))
    return np.stack([starts, ends], axis=1)
