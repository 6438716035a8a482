"""Records that cannot be used."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cmgems.errors import DataError, RecordError
from cmgems.reading import Invalid, skipped_path


def half(number: int) -> int:
    if number % 2:
        raise RecordError("odd", where=f"f:{number}", why="1 is left", fix="add 1")
    if number > 100:
        raise DataError("too large")
    return number // 2


def test_the_first_stops_the_work_and_names_the_option():
    with pytest.raises(
        RecordError, match=r"odd in f:3: 1 is left; add 1; --skip-invalid leaves such records out"
    ):
        Invalid("--skip-invalid").judge(half, 3)
    with pytest.raises(RecordError, match=r"add 1$"):
        Invalid().judge(half, 3)


def test_they_are_left_out_by_name(tmp_path):
    invalid = Invalid("--skip-invalid", skip=True)
    assert [invalid.judge(half, number) for number in (2, 3, 4, 5)] == [1, None, 2, None]
    out = tmp_path / "o.skipped.csv"
    assert invalid.report(out) == f"2 records skipped, named in {out}"
    assert list(csv.reader(out.open())) == [
        ["where", "reason"],
        ["f:3", "odd: 1 is left"],
        ["f:5", "odd: 1 is left"],
    ]
    with pytest.raises(DataError, match="too large"):  # not an error of one record
        invalid.judge(half, 200)


def test_nothing_left_out_leaves_no_file_of_an_earlier_run(tmp_path):
    out = tmp_path / "o.skipped.csv"
    out.write_text("where,reason\n")
    assert Invalid("--skip-invalid", skip=True).report(out) == ""
    assert not out.exists()


def test_a_file_of_that_name_that_is_another_stays(tmp_path):
    out = tmp_path / "o.skipped.csv"
    out.write_text("mine\n")
    assert Invalid().report(out) == ""
    assert out.read_text() == "mine\n"


def test_none_left():
    invalid = Invalid("--skip-invalid", skip=True)
    assert "no rows in f; give at least one" in invalid.none_left("rows", "f").line()
    invalid.judge(half, 3)
    assert (
        "no rows left in f: all 1 were left out, the first, f:3, for this: odd"
        in invalid.none_left("rows", "f").line()
    )


@pytest.mark.parametrize(
    ("out", "named"),
    [
        ("p.csv", "p.skipped.csv"),
        ("d/e.npy", "d/e.npy.skipped.csv"),
        ("run.1", "run.1.skipped.csv"),
        ("out", "out.skipped.csv"),
    ],
)
def test_beside_the_output(out, named):
    assert skipped_path(Path(out)) == Path(named)
