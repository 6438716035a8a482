"""Draws of few training examples as files, so that others train on exactly the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cmgems.data.columns import Columns
from cmgems.data.draws import draw_rows
from cmgems.data.label_files import RowReader, write_rows
from cmgems.data.labels import OneClass, encode_labels
from cmgems.data.layouts import find_layout
from cmgems.data.leaks import found_in, repeats
from cmgems.errors import CmgemsError, DataError
from cmgems.files import atomic_folder, check_new
from cmgems.reading import Invalid
from cmgems.runs.layout import SKIPPED


@dataclass(frozen=True)
class WrittenDraws:
    """What ``write_draws`` wrote.

    Attributes:
        classes: The labels.
        shots: The numbers of shots drawn.
        skipped: Why there are no draws of a number of shots.
        repeated: Training rows left out because their sequence is in an earlier row.
        leaked: Training rows left out because their sequence is in the test set.
        test_rows: Rows in the test file.
    """

    classes: tuple[str, ...]
    shots: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    repeated: int = 0
    leaked: int = 0
    test_rows: int = 0


def write_draws(
    folder: Path,
    out: Path,
    shots: Sequence[int],
    draws: int,
    seed: int,
    columns: Columns | None = None,
    invalid: Invalid | None = None,
) -> WrittenDraws:
    """Draw few training examples of a labelled set, clear of its test set and of repeated rows, and write them.

    The layout is that of the published few-shot sets: ``out/<shots>/train.csv`` holds the draws one after the other,
    each ``shots * classes`` rows long, ``out/test.csv`` is beside them, and ``data.dir=out/10 data.shots=10
    data.draw=3`` reads one. Draw d is made from (seed, d) and the set alone, whichever other draws are made. Rows that
    cannot be used are left out if ``invalid`` says so, and named in ``out/skipped.csv``.

    Raises:
        CmgemsError: if ``out`` exists, or a number is out of range.
        DataError: if a file of the set is missing or bad, or no number of shots can be drawn.
    """
    if not shots or min(shots) < 1 or draws < 1 or not 0 <= seed < 2**64:
        raise CmgemsError(
            "numbers out of range", why="shots and draws must be 1 or more, the seed 0 to 2**64 - 1"
        )
    check_new(out)
    columns, invalid, kind = columns or Columns(), invalid or Invalid(), OneClass()
    rows = RowReader(columns, invalid).read(find_layout(folder), ("train", "test"))
    train, test = rows["train"], rows["test"]
    names = kind.names(train, columns.labels)
    classes_N = np.asarray(encode_labels(kind, train, names, invalid)[1])
    bases = [row.bases.upper() for row in train]
    repeated_N, leaked_N = repeats(bases), found_in(bases, [row.bases.upper() for row in test])
    written = WrittenDraws(
        names, repeated=int(repeated_N.sum()), leaked=int(leaked_N.sum()), test_rows=len(test)
    )
    with atomic_folder(out) as partial:
        for number in sorted(set(shots)):
            try:
                drawn = [
                    draw_rows(classes_N, names, repeated_N | leaked_N, number, _generator(seed, draw))
                    for draw in range(draws)
                ]
            except DataError as error:
                written.skipped[number] = error.why
                continue
            write_rows(
                partial / str(number) / "train.csv",
                [(bases[n], train[n].cells[0]) for n in np.concatenate(drawn)],
            )
            written.shots.append(number)
        if not written.shots:
            raise DataError(
                "no draws", where=folder, why=written.skipped[min(shots)], fix="ask for fewer shots"
            )
        write_rows(partial / "test.csv", [(row.bases.upper(), row.cells[0]) for row in test])
        invalid.report(partial / SKIPPED)
    return written


def _generator(seed: int, draw: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed | draw << 64))
