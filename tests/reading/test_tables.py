"""Tables: their formats, and rows that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmgems.errors import DataError, RecordError
from cmgems.reading import Invalid, open_table, split_name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("train.csv", ("train", ".csv")),
        ("train.CSV.GZ", ("train", ".csv")),
        ("a.b.tsv.zst", ("a.b", ".tsv")),
        ("train.fa.bgz", ("train", ".fa")),
        ("train", ("train", "")),
        ("train.gz", ("train", "")),
    ],
)
def test_names(name, found):
    assert split_name(Path("folder") / name) == found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "a,b\n1.0,\n\n2, x \n"),
        ("t.csv", '\n"a","b"\r\n"1.0",""\r\n"2","x"\r\n'),
        ("t.tsv", "a\tb\n1.0\t\n2\tx\t\n"),
        ("t.csv", "a;b\n1.0;\n2;x\n"),
        ("t.jsonl", '{"a": 1.0, "b": null}\n\n{"b": "x", "a": 2, "c": []}\n'),
    ],
)
def test_formats_give_the_same_cells(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    table = open_table(tmp_path / name)
    assert table.header == ["a", "b"]
    for columns, cells in (([0, 1], [["1.0", ""], ["2", "x"]]), ([1], [[""], ["x"]])):
        found = list(table.records(columns, Invalid()))
        assert [record.cells for record in found] == cells
        assert [record.number for record in found] == [1, 2]


def test_parquet(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = {"a": [1.0, None], "b": ["x ", "y"], "c": [True, False], "d": [[1], [2]]}
    parquet.write_table(arrow.table(values), tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    found = list(table.records([1, 0, 2], Invalid()))
    assert [record.cells for record in found] == [["x", "1.0", "True"], ["y", "", "False"]]
    assert found[1].where == f"{tmp_path}/t.parquet, row 2"
    with pytest.raises(RecordError, match=r"several values in one cell in .*t.parquet, row 1: found \[1\]"):
        next(table.records([3], Invalid()))


def test_parquet_of_binary_values(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = arrow.array([b"ACGT ", b"A\xff"], arrow.binary())
    parquet.write_table(arrow.table({"a": values}), tmp_path / "t.parquet")
    records = open_table(tmp_path / "t.parquet").records([0], Invalid())
    assert next(records).cells == ["ACGT"]
    with pytest.raises(RecordError, match=r"not UTF-8 text in .*t.parquet, row 2: found b'A"):
        next(records)


def test_parquet_with_damaged_rows(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    values = [f"{n * 7919 % 10007}" for n in range(5000)]
    parquet.write_table(arrow.table({"a": values}), path, use_dictionary=False, compression="snappy")
    damaged = bytearray(path.read_bytes())
    damaged[200:4000] = b"\xaa" * 3800
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"cannot read Parquet in .*t.parquet: "):
        list(open_table(path).records([0], Invalid()))


@pytest.mark.parametrize("row", ["1", "1,2,3", '"1,2'])
def test_rows_that_cannot_be_read_are_left_out_by_number(tmp_path, row):
    (tmp_path / "t.csv").write_text(f"a,b\n1,2\n{row}\n3,4\n")
    invalid = Invalid(skip=True)
    found = list(open_table(tmp_path / "t.csv").records([0], invalid))
    assert [(record.number, record.cells) for record in found] == [(1, ["1"]), (3, ["3"])]
    assert [where for where, _ in invalid.skipped] == [f"{tmp_path}/t.csv:3"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "empty file"),
        ("t.csv", " \n", "blank file"),
        ("t.csv", '"a,b\n', "stray quote in .*t.csv:1"),
        ("t.jsonl", "a,b\n", "not JSON in .*t.jsonl:1"),
        ("t.jsonl", "[]\n", "not a JSON object in .*t.jsonl:1"),
        ("t.parquet", "a,b\n", "cannot read Parquet in .*t.parquet"),
    ],
)
def test_files_without_a_header(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        open_table(tmp_path / name)
