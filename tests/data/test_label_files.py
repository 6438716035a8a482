"""Reading rows: layouts, columns, and rows that are short or long."""

from __future__ import annotations

import pytest

from cmgems.data.label_files import find_split, read_rows
from cmgems.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(text, name="train.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_rows_know_their_line(write):
    path = write('sequence,label\nACGT,a\n\n"ACG\nCGT",b\n')
    first, second = read_rows(path)
    assert first == (path, 2, "ACGT", ("a",))
    assert first.where == f"{path}:2"
    assert (second.line, second.cells) == (4, ("b",))


def test_columns_in_the_order_asked_for(write):
    path = write("b,name,sequence,a\n1,x,ACGT,2\n")
    assert [row.cells for row in read_rows(path, ("a", "b"))] == [("2", "1")]
    assert [row.cells for row in read_rows(path, ("b",))] == [("1",)]


def test_case_matters_only_where_it_tells_columns_apart(write):
    path = write("Sequence,y,Y\nACGT,1,2\n")
    assert next(read_rows(path, ("Y", "y"))).cells == ("2", "1")
    assert next(read_rows(write("SEQUENCE,Label\nACGT,1\n"))).cells == ("1",)


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_name(write):
    assert next(read_rows(write("\ufeffsequence,label\nACGT,1\n"))).bases == "ACGT"


def test_tabs_and_kmers(write):
    path = write("sequence\tlabel\nACG CGT GTT\t1\n", "train.tsv")
    assert next(read_rows(path)).bases == "ACGTT"


def test_empty_labels_only_where_they_mean_something(write):
    path = write("sequence,label\nACGT,\n")
    assert next(read_rows(path, may_be_empty=True)).cells == ("",)
    with pytest.raises(DataError, match=rf"sequence or label missing in {path}:2"):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequence,y\nACGT,1\n", "columns missing in .*train.csv:1: no 'label'; it has sequence, y"),
        ("sequence,label,Label,LABEL\nACGT,1,2,3\n", None),
        ("sequence,Label,LABEL\nACGT,1,2\n", "column 'label' appears twice in .*train.csv:1"),
        (
            "sequence,label\nACGT,1\nACGT,1,5\n",
            "more cells than columns in .*train.csv:3: 3 cells, 2 columns",
        ),
        ("sequence,label\nACGT,1\nACGT,1,,\n", None),
        ("sequence,label\nACGT\n", "sequence or label missing in .*train.csv:2"),
        ("label,sequence\n1\n", "sequence or label missing in .*train.csv:2"),
        ("sequence,label\n,1\n", "sequence or label missing in .*train.csv:2"),
        (
            "sequence,label,name\nACGT,1,x\nACGT,1\n",
            "fewer cells than columns in .*train.csv:3: 2 cells, 3 columns",
        ),
        ("sequence\tlabel\nACGT\t1\n", "columns missing .* with a comma between them"),
        ("ACGT" * 50 + ",1\n", r"columns missing .* it has (ACGT){15}; the first line names the columns"),
        (
            "sequence,label\nACGT ACGT,1\n",
            "not overlapping k-mers in .*train.csv:2: ACGT is followed by ACGT",
        ),
        ("sequence,label\nACG CGTA,1\n", "not overlapping k-mers in .*train.csv:2: ACG is followed by CGTA"),
    ],
)
@pytest.mark.parametrize("may_be_empty", [False, True])
def test_ragged_rows_and_columns(write, text, message, may_be_empty):
    path = write(text)
    if message is None:
        assert {row.cells for row in read_rows(path, may_be_empty=may_be_empty)} == {("1",)}
        return
    with pytest.raises(DataError, match=message):
        list(read_rows(path, may_be_empty=may_be_empty))


def test_a_cell_may_hold_a_whole_contig(write):
    assert next(read_rows(write(f"sequence,label\n{'ACGT' * 50_000},1\n"))).bases == "ACGT" * 50_000


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "train.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot read"):
        list(read_rows(tmp_path / "train.csv"))


def test_the_test_set_may_stand_one_folder_up(tmp_path, write):
    (tmp_path / "10").mkdir()
    above = write("sequence,label\n", "test.tsv")
    assert find_split(tmp_path / "10", "test") == above
    assert find_split(tmp_path / "10", "dev") is None
