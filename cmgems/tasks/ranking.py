"""How well a score tells positive items from negative ones, with bootstrap intervals.

Shape suffix: N items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.jit import kernel

RESAMPLES, CONFIDENCE = 1000, 0.95

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Area:
    """An area under a curve, or a difference of two, and its 95 % interval; NaN where there is one class only."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Ranking:
    """How well a score ranks.

    Attributes:
        auroc: Area under the ROC curve; ties count half.
        auprc: Average precision; a score that knows nothing has the share of the positives.
        behind: How far its AUROC is below that of the first score, over the same resamples.
    """

    auroc: Area
    auprc: Area
    behind: Area


def rank(held_N: npt.NDArray[np.bool_], scores: Mapping[str, Floats], seed: int = 0) -> dict[str, Ranking]:
    """Rank the same items by several scores.

    The intervals are percentiles of 1,000 resamples of the items. Resample r is drawn by Philox from (seed, r), the
    same for every score.

    Args:
        held_N: Which items are positive.
        scores: float64 (N,) by name; the higher, the likelier positive.
        seed: Of the resamples.
    """
    sorted_by = {name: _sorted(held_N, scores_N) for name, scores_N in scores.items()}
    ones_N = np.ones(len(held_N), np.int64)
    found = {name: [_areas(*items, ones_N)] for name, items in sorted_by.items()}
    for resample in range(RESAMPLES):
        rng = np.random.Generator(np.random.Philox(key=np.array([seed, resample], np.uint64)))
        weights_N = np.bincount(rng.integers(0, len(held_N), len(held_N)), minlength=len(held_N))
        for name, items in sorted_by.items():
            found[name].append(_areas(*items, weights_N))
    areas = {
        name: np.array(rows) for name, rows in found.items()
    }  # AUROC, AUPRC; the first row is of all items
    first_R = next(iter(areas.values()))[:, 0]
    return {
        name: Ranking(_area(areas_R2[:, 0]), _area(areas_R2[:, 1]), _area(first_R - areas_R2[:, 0]))
        for name, areas_R2 in areas.items()
    }


def _sorted(
    held_N: npt.NDArray[np.bool_], scores_N: Floats
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Whether each is positive, the highest score first; whether it is the last of its score; and which it is."""
    order_N = np.argsort(-scores_N, kind="stable")
    last_N = np.append(np.diff(scores_N[order_N]) != 0, True)
    return held_N[order_N], last_N, order_N


@kernel
def _areas(held_N, last_N, order_N, weights_N):  # type: ignore[no-untyped-def]
    """(AUROC, average precision) of items that count ``weights_N`` times; NaN if one class is missing."""
    positives = negatives = 0
    for n in range(len(held_N)):
        if held_N[n]:
            positives += weights_N[order_N[n]]
        else:
            negatives += weights_N[order_N[n]]
    if positives == 0 or negatives == 0:
        return np.nan, np.nan
    roc = precision = 0.0
    above = below = held = other = 0  # above: positives with a higher score; held: those of the same
    for n in range(len(held_N)):
        if held_N[n]:
            held += weights_N[order_N[n]]
        else:
            other += weights_N[order_N[n]]
        if last_N[n]:
            roc += other * (above + held / 2)
            above, below = above + held, below + other
            if held:
                precision += held * above / (above + below)
            held = other = 0
    return roc / positives / negatives, precision / positives


def _area(values_R: Floats) -> Area:
    """Of the value of all items and those of the resamples; one without both classes has none."""
    known = values_R[1:][~np.isnan(values_R[1:])]
    tails = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(known, [tails, 100 - tails]).tolist() if len(known) else (np.nan, np.nan)
    return Area(float(values_R[0]), low, high)
