"""Several genomes in one store: how often the windows of each are read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError, few
from cmgems.genome import GenomeStore

KEY = 0x5EC1E5  # of these random numbers, beside the run's seed and the epoch


def check_species(prefixes: Sequence[str], weights: Sequence[float]) -> None:
    """Check prefixes and weights by themselves.

    Raises:
        CmgemsError: if they are not as many, two prefixes are the same, a weight is below 0, or none above.
    """
    if len(prefixes) != len(weights) or len(set(prefixes)) != len(prefixes):
        raise CmgemsError(
            "`prefixes` and `weights` must be as many, and the prefixes different",
            fix="give one weight for each: prefixes=[human_,mouse_] weights=[1,0.2]",
        )
    if not all(0 <= weight < math.inf for weight in weights) or (weights and not any(weights)):
        raise CmgemsError(f"`weights` must be 0 or more, and one above 0, but are {list(weights)}")


class SpeciesWeights:
    """How often windows are read in an epoch, by the prefix of their contig's name.

    Args:
        store: The genomes; `cmgems genome build --prefix human_ --prefix mouse_` names their contigs.
        prefixes: Of the species; of several that fit a name the longest counts.
        weights: Of each: 1 reads every window once an epoch, 0.2 a fifth of them, 2 each of them twice.

    Raises:
        CmgemsError: if a contig has none of the prefixes, or a prefix no contig.
    """

    def __init__(self, store: GenomeStore, prefixes: Sequence[str], weights: Sequence[float]) -> None:
        by_length = sorted(zip(prefixes, weights, strict=True), key=lambda pair: -len(pair[0]))
        found = [next((pair for pair in by_length if name.startswith(pair[0])), None) for name in store.names]
        if without := [name for name, pair in zip(store.names, found, strict=True) if pair is None]:
            raise CmgemsError(
                "contigs of no species",
                where="data.prefixes",
                why=f"{few(without)} begin with none of {', '.join(prefixes)}",
                fix="name a prefix for them too",
            )
        if unused := [prefix for prefix, _ in by_length if all(pair and pair[0] != prefix for pair in found)]:
            raise CmgemsError(
                "a species without contigs",
                where="data.prefixes",
                why=f"no name begins with {unused[0]!r}; there are {few(list(store.names))}",
                fix="correct it",
            )
        self._offsets = store.offsets
        self._weights_C = np.array([pair[1] for pair in found if pair is not None])

    def read(
        self, starts_N: npt.NDArray[np.int64], lengths_N: npt.NDArray[np.int32], seed: int, epoch: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """The windows of an epoch as often as they are read, in a random order: a function of the arguments alone.

        Args:
            starts_N: Flat positions of the windows.
            lengths_N: Their lengths (bp).
            seed: The run's.
            epoch: From 0.
        """
        weights_N = self._weights_C[np.searchsorted(self._offsets, starts_N, side="right") - 1]
        key_2 = np.array([KEY, seed], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key_2, counter=[0, 0, 0, epoch]))
        times_N = np.floor(weights_N + rng.random(len(weights_N))).astype(np.int64)
        order = rng.permutation(np.repeat(np.arange(len(starts_N)), times_N))
        return starts_N[order], lengths_N[order]
