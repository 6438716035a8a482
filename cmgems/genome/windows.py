"""Cutting valid runs into the windows a model is trained on.

A sampler is a pure function of (store, runs, seed, epoch): workers, restarts and machines agree on the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome.kernels import hash_windows, walk
from cmgems.genome.layout import Positions
from cmgems.genome.store import GenomeStore
from cmgems.registry import Registry

Lengths = npt.NDArray[np.int32]


class Sampler(Protocol):
    """A frozen dataclass that cuts windows."""

    @property
    def max_bp(self) -> int:
        """Length of the longest window (valid bases)."""

    def windows(
        self, store: GenomeStore, runs: Positions, seed: int, epoch: int
    ) -> tuple[Positions, Lengths]:
        """Cut the windows of one epoch.

        Args:
            store: The genome.
            runs: int64[R, 2], sorted, the part of its valid runs to use (see ``split_runs``).
            seed: Of the run.
            epoch: From 0; each has cuts and an order of its own.

        Returns:
            ``(starts int64[N], lengths int32[N])``, shuffled. Window n is the ``lengths[n]`` valid bases from
            flat position ``starts[n]`` on; no two windows share a base.
        """


SAMPLERS: Registry[Sampler] = Registry("window sampler")


def _check(max_bp: int, min_bp: int, full_share: float) -> None:
    if not 1 <= min_bp <= max_bp:
        raise CmgemsError(f"`min_bp` must be from 1 to `max_bp` ({max_bp}), but is {min_bp}")
    if not 0 <= full_share <= 1:
        raise CmgemsError(f"`full_share` must be from 0 to 1, but is {full_share}")


@SAMPLERS.register("tiled")
@dataclass(frozen=True)
class TiledSampler:
    """Tiles every run without gaps; the default.

    No window spans an ambiguous base, a contig's end or a held-out block. The first cut of each run is drawn
    again every epoch, unless the run fits into one window; what is left at both ends becomes shorter windows.

    Attributes:
        max_bp: Length of a full window (bp).
        min_bp: Shorter remains are dropped (bp).
        full_share: Share of windows cut at full length; the others are uniform in [min_bp, max_bp).
    """

    max_bp: int = 510
    min_bp: int = 5
    full_share: float = 1.0

    def __post_init__(self) -> None:
        _check(self.max_bp, self.min_bp, self.full_share)

    def windows(
        self, store: GenomeStore, runs: Positions, seed: int, epoch: int
    ) -> tuple[Positions, Lengths]:
        """See ``Sampler.windows``."""
        rng = _generator(seed, epoch)
        run_lengths = runs[:, 1] - runs[:, 0]
        heads = np.where(run_lengths > self.max_bp, rng.integers(0, self.max_bp, len(runs)), 0)
        run, within, lengths = _cut(run_lengths - heads, self.max_bp, self.min_bp, self.full_share, rng)
        starts = np.concatenate([runs[:, 0], (runs[:, 0] + heads)[run] + within])
        lengths = np.concatenate([heads, lengths])
        return _shuffled(starts, lengths, self.min_bp, rng)


@SAMPLERS.register("genemask")
@dataclass(frozen=True)
class GeneMaskSampler:
    """The reference windows of GeneMask (arXiv 2307.15933), for comparison with published models.

    Ambiguous bases are removed and windows are measured in the bases that remain, so one may span a gap of N. Each
    contig is walked from a random offset; contigs shorter than it yield nothing. Windows with the same
    sequence are kept once. The published split, a coin flip for each window, is left out on purpose: it puts
    neighbouring windows on both sides. Validation is held out by block or contig, and no window reaches across it.

    Attributes:
        max_bp: Length of a full window (valid bases).
        min_bp: Length of the shortest (valid bases).
        full_share: Probability of a full window; the others are uniform in [min_bp, max_bp).
        max_offset: The walk starts uniformly in [0, max_offset) (valid bases).
    """

    max_bp: int = 510
    min_bp: int = 5
    full_share: float = 0.5
    max_offset: int = 1000

    def __post_init__(self) -> None:
        _check(self.max_bp, self.min_bp, self.full_share)
        if self.max_offset < 1:
            raise CmgemsError(f"`max_offset` must be at least 1, but is {self.max_offset}")

    def windows(
        self, store: GenomeStore, runs: Positions, seed: int, epoch: int
    ) -> tuple[Positions, Lengths]:
        """See ``Sampler.windows``."""
        rng = _generator(seed, epoch)
        # Positions count along all given runs, one after another; a stretch is walked as if it were one run.
        run_ends = np.cumsum(runs[:, 1] - runs[:, 0])
        run_starts = run_ends - (runs[:, 1] - runs[:, 0])
        first_runs = _stretch_starts(store, runs)
        stretch_starts = run_starts[first_runs]
        stretch_lengths = np.diff(np.append(stretch_starts, run_ends[-1:]))
        offsets = np.minimum(rng.integers(0, self.max_offset, len(first_runs)), stretch_lengths)
        stretch, within, lengths = _cut(
            stretch_lengths - offsets, self.max_bp, self.min_bp, self.full_share, rng
        )
        line = (stretch_starts + offsets)[stretch] + within
        run = np.searchsorted(run_starts, line, side="right") - 1
        starts, kept = _shuffled(runs[run, 0] + line - run_starts[run], lengths, self.min_bp, rng)
        distinct = np.sort(np.unique(hash_windows(store.codes, starts, kept), return_index=True)[1])
        return starts[distinct], kept[distinct]


def _stretch_starts(store: GenomeStore, runs: Positions) -> npt.NDArray[np.int64]:
    """Index of each run that does not continue the one before across ambiguous bases only; int64."""
    contig = np.searchsorted(store.offsets, runs[:, 0], side="right")
    held_out_between = store.valid_before(runs[1:, 0]) != store.valid_before(runs[:-1, 1])
    new = np.ones(len(runs), dtype=np.bool_)
    new[1:] = held_out_between | (contig[1:] != contig[:-1])
    return np.flatnonzero(new)


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)))


def _cut(
    stretches_R: Positions, max_bp: int, min_bp: int, full_share: float, rng: np.random.Generator
) -> tuple[Positions, Positions, Positions]:
    """Cut each stretch from its start on; the last window of each ends with it.

    Returns:
        ``(stretch, within, length)``, int64[N] each: index of the stretch, start in it and length (bp).
    """
    full = full_share == 1 or min_bp == max_bp
    mean = max_bp if full else full_share * max_bp + (1 - full_share) * (min_bp + max_bp - 1) / 2
    count = len(stretches_R) + int(1.05 * stretches_R.sum() / mean) + 100
    steps = np.zeros(1, dtype=np.int64)
    first = np.array([1])
    while first[-1] >= len(steps):
        drawn = np.full(count, max_bp, dtype=np.int64)
        if not full:
            short = rng.random(count) >= full_share
            drawn[short] = rng.integers(min_bp, max_bp, np.count_nonzero(short))
        steps = np.concatenate([steps, steps[-1] + np.cumsum(drawn)])
        first = walk(stretches_R, steps)
    stretch = np.repeat(np.arange(len(stretches_R)), np.diff(first))
    within = steps[: first[-1]] - steps[first[:-1]][stretch]
    length = np.minimum(np.diff(steps)[: first[-1]], stretches_R[stretch] - within)
    return stretch, within, length


def _shuffled(
    starts: Positions, lengths: Positions, min_bp: int, rng: np.random.Generator
) -> tuple[Positions, Lengths]:
    order = rng.permutation(np.flatnonzero(lengths >= min_bp))
    return starts[order], lengths[order].astype(np.int32)
