"""Agreement of two rankings, against the definitions written out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cmgems.errors import CmgemsError, DataError
from cmgems.pmi import PMITable
from cmgems.pmi.compare import compare


def table_of(k: int, seed: int) -> PMITable:
    rng = np.random.default_rng(seed)
    size = 4**k
    npmi = -np.sort(-rng.normal(size=size))
    order = rng.permutation(size)
    return PMITable(
        k,
        "exact",
        False,
        np.ones(size, np.int64),
        npmi[order],
        npmi[order],
        (order + 1).astype(np.int32),
    )


def test_a_table_agrees_with_itself() -> None:
    table = table_of(3, 0)
    agreement = compare(table, table)
    assert agreement.spearman == pytest.approx(1)
    assert agreement.kendall == pytest.approx(1)
    assert agreement.overlap == {10: 10}  # there are no 100 3-mers


def test_against_the_definitions() -> None:
    a, b = table_of(3, 1), table_of(3, 2)
    x, y = a.rank.astype(int), b.rank.astype(int)
    n = len(x)
    concordant = sum(np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in combinations(range(n), 2))
    agreement = compare(a, b, tops=[5, 64])
    assert agreement.spearman == pytest.approx(1 - 6 * np.sum((x - y) ** 2) / (n * (n**2 - 1)))
    assert agreement.kendall == pytest.approx(concordant / (n * (n - 1) / 2))
    assert agreement.overlap == {5: len(set(a.order()[:5]) & set(b.order()[:5])), 64: 64}


def test_other_k() -> None:
    with pytest.raises(DataError, match="one ranks 3-mers, the other 4-mers"):
        compare(table_of(3, 0), table_of(4, 0))


@pytest.mark.parametrize("top", [0, 65])
def test_top_out_of_range(top: int) -> None:
    with pytest.raises(CmgemsError, match="use 1 to 64"):
        compare(table_of(3, 0), table_of(3, 1), tops=[top])


def test_the_published_ranking_against_the_exact_one(shared_data) -> None:
    published = PMITable.load(shared_data / "human_6mer_npmi.csv")
    counts = {6: published.count}
    for n in range(5, 0, -1):
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1)
    assert compare(published, PMITable.from_counts(counts, 6)).spearman == pytest.approx(0.888, abs=5e-4)
