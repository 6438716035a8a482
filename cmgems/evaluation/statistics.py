"""Means over seeds, and differences of paired runs with their bootstrap confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
RESAMPLES = 9_999


@dataclass(frozen=True)
class MeanSD:
    """Mean and standard deviation (n - 1) of ``count`` values; the deviation of one value is NaN."""

    mean: float
    sd: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> MeanSD:
        """Of values of which none is NaN; the mean of none is NaN."""
        count = len(values)
        mean = float(np.mean(values)) if count else math.nan
        sd = float(np.std(values, ddof=1)) if count > 1 else math.nan
        return cls(mean, sd, count)


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences and its confidence interval.

    Attributes:
        mean: Of ``ours - theirs``.
        low, high: Ends of the 95 % interval; NaN of a single pair.
        pairs: How many pairs.
    """

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """How much ``ours`` is above ``theirs``, pair by pair: same seed, same task, same training examples.

    The interval is the percentile bootstrap over pairs. It never reaches beyond the smallest and largest difference,
    so of three pairs it is their range: read it as that, not as a test.

    Raises:
        ValueError: if they differ in length or are empty.
    """
    if len(ours) != len(theirs) or not ours:
        raise ValueError(
            f"pairs need as many values on both sides, but there are {len(ours)} and {len(theirs)}"
        )
    differences = np.subtract(ours, theirs)
    mean = float(differences.mean())
    if len(differences) == 1:
        return Difference(mean, math.nan, math.nan, 1)
    interval = bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Difference(mean, float(interval.low), float(interval.high), len(differences))
