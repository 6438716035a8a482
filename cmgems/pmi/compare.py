"""How well two rankings of the same k-mers agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmgems.errors import CmgemsError, DataError
from cmgems.pmi.table import PMITable

TOPS = (10, 100, 1000)


@dataclass(frozen=True)
class Agreement:
    """Agreement of two rankings.

    Attributes:
        spearman: Rank correlation, Spearman's rho.
        kendall: Rank correlation, Kendall's tau.
        overlap: For each n, how many k-mers are among the first n of both.
    """

    spearman: float
    kendall: float
    overlap: dict[int, int]


def compare(first: PMITable, second: PMITable, tops: Sequence[int] | None = None) -> Agreement:
    """Compare the ranks of two tables; their definitions and strands may differ.

    Args:
        first: A table.
        second: A table of the same k.
        tops: Each n of which the first n k-mers are compared, 1 to 4^k; by default 10, 100 and 1000, if there
            are that many k-mers.

    Raises:
        DataError: if the tables are of different k.
        CmgemsError: if a top is out of range.
    """
    from scipy.stats import kendalltau, spearmanr

    if first.k != second.k:
        why = f"one ranks {first.k}-mers, the other {second.k}-mers"
        raise DataError("k differs", where="the two PMI tables", why=why, fix="compare tables of one k")
    size = len(first.rank)
    if tops is None:
        tops = [n for n in TOPS if n <= size]
    for n in tops:
        if not 1 <= n <= size:
            fix = f"use 1 to {size}, the number of {first.k}-mers"
            raise CmgemsError("top out of range", why=f"it is {n}", fix=fix)
    return Agreement(
        spearman=float(spearmanr(first.rank, second.rank).statistic),
        kendall=float(kendalltau(first.rank, second.rank).statistic),
        overlap={n: int(np.sum((first.rank <= n) & (second.rank <= n))) for n in tops},
    )
