from __future__ import annotations

from pathlib import Path

from cmgems.reading import bed_lines


def test_only_records_are_left_and_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.bed"
    path.write_text("track name=x\nbrowser position chr1\n#note\n\n \ntrack1\t0\t9\nbrowser\t1\t2\n")
    assert [(line.number, line.text) for line in bed_lines(path)] == [
        (6, "track1\t0\t9"),
        (7, "browser\t1\t2"),
    ]
