"""Whether labels can be told from what no model should need: the length, the GC content, the place in the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmgems.data.words import PackedRows
from cmgems.genome import alphabet
from cmgems.yardsticks.examples import Examples

AUROC, RHO = "AUROC", "Spearman's rho"
GC_CODES = [alphabet.BASES.index(base) for base in "GC"]


@dataclass(frozen=True)
class Association:
    """How a property of the rows goes with their labels.

    Attributes:
        property: "length", "GC content", "position in the file".
        measure: AUROC of a class or label against all others, 0.5 where there is nothing to see; or Spearman's rho of a
            quantity, 0 there.
        value: Of the label for which it is strongest; NaN if the property, or every label, is the same in all rows.
        p: Of the Mann-Whitney test, or of rho, times the number of labels tried (Bonferroni); NaN likewise.
        label: Which label that is.
    """

    property: str
    measure: str
    value: float
    p: float
    label: str


def associations(train: Examples, names: tuple[str, ...]) -> list[Association]:
    """The associations in a training set.

    Args:
        train: N examples whose labels are not of bases.
        names: Classes, labels or quantities.
    """
    packed = PackedRows.of(train.bases)
    is_gc = np.isin(packed.codes_T, GC_CODES)
    gc = np.add.reduceat(is_gc, packed.ends[:-1], dtype=np.int64) / packed.lengths
    properties = {"length": packed.lengths, "GC content": gc, "position in the file": np.arange(len(train))}
    return [_strongest(name, values_N, train, names) for name, values_N in properties.items()]


def _strongest(name: str, values_N: np.ndarray, train: Examples, names: tuple[str, ...]) -> Association:
    columns = list(_columns(train, names))
    found = [Association(name, *_measured(values_N, labels_N), label) for label, labels_N in columns]
    tried = [one for one in found if not math.isnan(one.value)] or found[:1]
    best = max(tried, key=lambda one: abs(one.value - (0.5 if one.measure == AUROC else 0)))
    return Association(name, best.measure, best.value, float(np.minimum(1, best.p * len(tried))), best.label)


def _columns(train: Examples, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Each label and whether, or how much, each row has of it. Of two classes the second says it all."""
    labels = train.labels
    if labels.ndim > 1:
        yield from zip(names, labels.T, strict=True)
        return
    for index, name in list(enumerate(names))[1 if len(names) == 2 else 0 :]:
        yield name, labels == index


def _measured(values_N: np.ndarray, labels_N: np.ndarray) -> tuple[str, float, float]:
    """The measure, its value and the probability of one as strong by chance."""
    from scipy.stats import mannwhitneyu, spearmanr

    kinds = np.unique(labels_N)
    if not np.isin(kinds, (0, 1)).all():
        if np.ptp(values_N) == 0:
            return RHO, math.nan, math.nan
        rho = spearmanr(values_N, labels_N)
        return RHO, float(rho.statistic), float(rho.pvalue)
    if len(kinds) < 2 or np.ptp(values_N) == 0:
        return AUROC, math.nan, math.nan
    held = labels_N == 1
    test = mannwhitneyu(values_N[held], values_N[~held])
    return AUROC, float(test.statistic / (held.sum() * (~held).sum())), float(test.pvalue)
