"""Pictures of PMI tables: what is drawn, and that files come out whole."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from cmgems.errors import CmgemsError, DataError
from cmgems.pmi import PMITable
from cmgems.pmi.definitions import kmer
from cmgems.report import pmi

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def table(small_genome) -> PMITable:
    return PMITable.load(small_genome.table)


@pytest.mark.slow
def test_a_folder_of_pictures_or_one(table, tmp_path):
    paths = pmi.plot_table(table, tmp_path / "plots")
    assert [path.stem for path in paths] == [
        "distribution", "npmi_by_rank", "cpg_by_rank", "gc_by_rank", "logo_first", "logo_last",
    ]  # fmt: skip
    assert pmi.plot_table(table, tmp_path / "all.PNG", top=10**6) == [tmp_path / "all.PNG"]
    assert all(path.read_bytes().startswith(PNG) for path in [*paths, tmp_path / "all.PNG"])
    assert len(list((tmp_path / "plots").iterdir())) == len(paths)


def test_ranks(table, tmp_path):
    pmi.plot_ranks(table, table, tmp_path / "ranks.png", ("one", "the other"))
    assert (tmp_path / "ranks.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("k", [3, 5])
def test_bases_and_cpg_of_every_kmer(k):
    names = [kmer(number, k) for number in range(4**k)]
    bases = pmi._bases(k)
    assert ["".join("ATCG"[code] for code in row) for row in bases] == names
    assert pmi._cpg(bases).tolist() == [name.count("CG") for name in names]


def test_a_logo_is_as_high_as_the_information():
    """C always, C or G evenly, anything evenly: 2 bits, 1 bit, none."""
    axes = Figure().add_subplot()
    bases = np.array([[2, 2 + (i % 2), i % 4] for i in range(8)])
    pmi._draw_logo(bases, "", axes)
    tops = [0.0, 0.0, 0.0]
    for letter in axes.patches:
        box = letter.get_path().get_extents()
        tops[round((box.x0 + box.x1) / 2) - 1] = max(tops[round((box.x0 + box.x1) / 2) - 1], box.y1)
    assert tops == pytest.approx([2, 1, 0], abs=0.01)


def test_unscored_kmers_are_left_out(table, tmp_path):
    count, rare = table.count.copy(), table.count < 10
    npmi = np.where(rare, -np.inf, table.npmi)
    rank = np.empty(4096, np.int32)
    rank[np.argsort(-npmi, kind="stable")] = np.arange(1, 4097)
    some = PMITable(6, "exact", False, count, npmi, npmi, rank)
    assert 0 < rare.sum() < 4096
    pmi.plot_table(some, tmp_path / "some.png")

    nothing = np.full(4096, -np.inf)
    none = PMITable(6, "exact", False, count, nothing, nothing, np.arange(1, 4097, dtype=np.int32))
    with pytest.raises(DataError, match="scores no k-mer"):
        pmi.plot_table(none, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_unscored_kmers_may_rank_anywhere(table):
    npmi = table.npmi.copy()
    npmi[table.order()[:2]] = -np.inf
    some = PMITable(6, "unknown", False, table.count, npmi, npmi, table.rank)
    panels = pmi._panels(some, 10)
    axes = Figure().add_subplot()
    panels["distribution"](axes)
    assert sum(bar.get_height() for bar in axes.patches) == 4094


def test_without_logomaker(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "logomaker", None)
    with pytest.raises(CmgemsError, match=r"pip install 'cmgems\[plots\]'"):
        pmi.plot_table(table, tmp_path / "plots")
    assert not (tmp_path / "plots").exists()
