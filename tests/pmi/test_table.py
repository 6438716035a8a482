"""The table: scoring options, files there and back, and every way a file can be wrong."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmgems.errors import CmgemsError, DataError
from cmgems.pmi import PMITable
from cmgems.pmi.counts import Counts
from cmgems.tokenization import KmerTokenizer


def counts_of(k: int, seed: int = 0) -> Counts:
    counts = {k: np.random.default_rng(seed).integers(0, 50, 4**k)}
    for n in range(k - 1, 0, -1):
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1)
    return counts


@pytest.fixture
def table() -> PMITable:
    return PMITable.from_counts(counts_of(3), 3, min_count=5, provenance={"genome_sha256": "ab" * 32})


def assert_equal(a: PMITable, b: PMITable) -> None:
    assert a.k == b.k
    for name in ("count", "pmi", "npmi", "rank"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)


def test_rare_kmers_rank_last_in_order(table: PMITable) -> None:
    rare = np.flatnonzero(table.count < 5)
    assert len(rare) > 0
    assert np.isneginf(table.npmi[rare]).all()
    assert table.rank[rare].tolist() == list(range(64 - len(rare) + 1, 65))


def test_canonical_scores_both_strands_alike() -> None:
    table = PMITable.from_counts(counts_of(4), 4, canonical=True)
    mirror = [int(str(f"{i:08b}")[::-1], 2) for i in range(256)]
    mirror = [(i >> 1 & 0x55 | (i & 0x55) << 1) ^ 0x55 for i in mirror]
    np.testing.assert_array_equal(table.count, table.count[mirror])
    np.testing.assert_allclose(table.npmi, table.npmi[mirror], atol=1e-12)
    assert all(table.rank[i] <= table.rank[j] for i, j in enumerate(mirror) if i <= j)


def test_safetensors_there_and_back(table: PMITable, tmp_path: Path) -> None:
    table.save(tmp_path / "pmi.safetensors")
    loaded = PMITable.load(tmp_path / "pmi.safetensors")
    assert_equal(loaded, table)
    assert (loaded.definition, loaded.canonical, loaded.provenance) == ("exact", False, table.provenance)
    assert loaded.provenance["min_count"] == 5
    assert loaded.provenance["totals"]["3"] == table.count.sum()
    table.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "pmi.safetensors").read_bytes()


def test_csv_there_and_back(table: PMITable, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "any.name")
    assert_equal(PMITable.load(tmp_path / "any.name"), table)
    with open(tmp_path / "any.name") as file:
        assert [int(row["rank"]) for row in csv.DictReader(file)] == list(range(1, 65))


@pytest.mark.parametrize(
    "saved",
    [
        gzip.compress,
        lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
        lambda data: re.sub(rb"^(\w+)", rb'"\1"', data, flags=re.MULTILINE),
    ],
    ids=["gzip", "saved on Windows", "quoted"],
)
def test_csv_saved_otherwise(table: PMITable, tmp_path: Path, saved: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "pmi.csv"
    table.to_csv(path)
    path.write_bytes(saved(path.read_bytes()))
    assert_equal(PMITable.load(path), table)


def test_utf_16_is_named(table: PMITable, tmp_path: Path) -> None:
    path = tmp_path / "pmi.csv"
    table.to_csv(path)
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(DataError, match="it is UTF-16 text"):
        PMITable.load(path)


def test_blank_lines_in_a_csv_are_passed_over(table: PMITable, tmp_path: Path) -> None:
    path = tmp_path / "pmi.csv"
    table.to_csv(path)
    path.write_text(path.read_text().replace("\n", "\n\n", 2) + "\n")
    assert_equal(PMITable.load(path), table)


def test_token_ranks(table: PMITable) -> None:
    ranks = table.token_ranks(KmerTokenizer(3))
    assert ranks.dtype == np.int32
    assert ranks[:5].tolist() == [65] * 5
    np.testing.assert_array_equal(ranks[5:], table.rank)
    with pytest.raises(DataError, match="--k 6"):
        table.token_ranks(KmerTokenizer(6))


def test_wrong_options() -> None:
    counts = counts_of(3)
    with pytest.raises(CmgemsError, match="did you mean 'exact'"):
        PMITable.from_counts(counts, 3, "exakt")
    with pytest.raises(CmgemsError, match="use 1 or more"):
        PMITable.from_counts(counts, 3, min_count=0)
    with pytest.raises(CmgemsError, match="use k = 3 to 8"):
        PMITable.from_counts(counts, 2)
    with pytest.raises(DataError, match="no 3-mer"):
        PMITable.from_counts({n: table * 0 for n, table in counts.items()}, 3)
    most = int(counts[3].max())
    assert np.isfinite(PMITable.from_counts(counts, 3, min_count=most).npmi).any()
    with pytest.raises(DataError, match=f"no k-mer gets a score: .* `min_count` is {most + 1:,}; lower"):
        PMITable.from_counts(counts, 3, min_count=most + 1)


def edit_rows(edit: Callable[[list[list[str]]], object]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        rows = [line.split(",") for line in text.splitlines()]
        edit(rows)
        return "\n".join(",".join(row) for row in rows)

    return apply


def set_cell(row: int, column: int, value: str) -> Callable[[str], str]:
    return edit_rows(lambda rows: rows[row].__setitem__(column, value))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "empty file"),
        (lambda text: "\n\n", "no column"),
        (set_cell(2, 0, '"ACG'), "stray quote .*pmi.csv:3"),
        (lambda text: text.splitlines()[0], "no k-mers in .*pmi.csv: the header is all there is"),
        (lambda text: text.replace("npmi", "other"), "no column npmi"),
        (edit_rows(lambda rows: rows.pop(7)), "k-mers missing"),
        (edit_rows(lambda rows: rows.append(rows[3])), "twice"),
        (edit_rows(lambda rows: rows[4].pop()), ":5: too few columns"),
        (edit_rows(lambda rows: (rows.insert(1, []), rows[4].pop())), ":5: too few columns"),
        (set_cell(2, 0, "ACX"), "'ACX' is not a 3-mer"),
        (set_cell(2, 0, "ACGT"), "'ACGT' is not a 3-mer"),
        (set_cell(2, 1, "many"), ":3"),
        (set_cell(2, 1, "9" * 30), ":3"),
        (set_cell(2, 1, "-3"), "count of [ACGT]{3} is negative"),
        (set_cell(2, 2, "nan"), "NaN"),
        (set_cell(2, 2, "inf"), " pmi of [ACGT]{3} is infinite"),
        (set_cell(2, 3, "inf"), " npmi of [ACGT]{3} is infinite"),
        (set_cell(2, 4, "1"), "not a permutation"),
        (set_cell(1, 0, "A" * 40), "k is 40"),
    ],
)
def test_damaged_csv(table: PMITable, tmp_path: Path, damage: Callable[[str], str], message: str) -> None:
    path = tmp_path / "pmi.csv"
    table.to_csv(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(CmgemsError, match=message) as caught:
        PMITable.load(path)
    assert "pmi.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_safetensors(table: PMITable, tmp_path: Path) -> None:
    path = tmp_path / "pmi.safetensors"
    table.save(path)
    whole = path.read_bytes()
    for data in (
        whole[:-1],
        whole[:100],
        whole.replace(b"pmi_table", b"other_key"),
        b"\x00" * 8 + b"{",
        b"\xff" * 99,
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match="not a PMI table"):
            PMITable.load(path)


def test_unreadable(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "not a file"), (tmp_path / "absent", "no such file")):
        with pytest.raises(DataError, match=message):
            PMITable.load(path)


def test_wrong_arrays_are_refused(table: PMITable) -> None:
    with pytest.raises(DataError, match="wrong shape"):
        replace(table, pmi=table.pmi[:-1])
    with pytest.raises(DataError, match="wrong shape"):
        replace(table, rank=table.rank.astype(np.int64))


def test_published_layout_with_values_that_disagree(tmp_path: Path) -> None:
    kmers = KmerTokenizer(3).vocabulary()[5:]
    path = tmp_path / "published.csv"
    path.write_text("ngram,dp.true.pmi,norm_dp_true_pmi\n" + "".join(f"{kmer},1.0,1.5\n" for kmer in kmers))
    with pytest.raises(DataError, match="do not agree"):
        PMITable.load(path)
