"""Cells of a line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import RecordError
from cmgems.reading import Line, split_cells, whole_number

cells = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8), min_size=1, max_size=6
)


@given(row=cells.filter(lambda row: row != [""]), delimiter=st.sampled_from(",\t;"))
def test_what_is_written_is_read(row, delimiter):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(row)
    assert split_cells(Line(Path("f"), 1, text.getvalue()), delimiter) == [cell.strip() for cell in row]


@pytest.mark.parametrize("text", ['"a,b', 'a,"b', '"a"b,c', 'a,"'])
def test_stray_quotes_name_their_line(text):
    with pytest.raises(RecordError, match="stray quote in f:7"):
        split_cells(Line(Path("f"), 7, text), ",")


@pytest.mark.parametrize("text", ['5" end,b', 'a,b"'])
def test_a_quote_inside_a_cell_is_a_letter(text):
    assert split_cells(Line(Path("f"), 1, text), ",") == text.split(",")


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, int("9" * 18))])
def test_whole_numbers(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1_0", "1.0", "1e3", "1,000", "٣", "²", "9" * 19, "nan"]
)
def test_no_whole_numbers(text):
    assert whole_number(text) is None
