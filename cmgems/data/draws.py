"""Few training examples of each class: drawn by a seed, or published as one draw after the other in a file.

The published few-shot files of Splice-40 and Silencer (GeneMask, arXiv 2307.15933; CM-GEMS, arXiv 2408.07180) hold ten
times as many rows of each class as their folder says, no row twice, in random order: stretches of ``shots * classes``
rows do not have ``shots`` of each class. So draw d is the d-th ``shots`` rows of every class, in the order of the file.
It is balanced, uses every row once, and is the d-th block wherever a file does hold balanced blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmgems.data.columns import Columns
from cmgems.data.label_files import RowReader
from cmgems.data.labelled import LabelledConfig, LabelledSet
from cmgems.data.layouts import find_layout
from cmgems.data.leaks import excluded_rows
from cmgems.errors import CmgemsError, DataError
from cmgems.reading import Invalid


def draw_shots(config: LabelledConfig, train: LabelledSet, test: LabelledSet, seed: int) -> LabelledSet:
    """The training set that ``config.shots`` and ``config.draw`` ask for; all of ``train`` without them.

    Args:
        config: The run's data section.
        train: Everything in the training file.
        test: Our own draws hold none of its sequences. A published draw is taken as it is; ``leaked_rows`` counts its
            leaks.
        seed: Decides our own draws.

    Raises:
        DataError: if a class has too few examples, or the file does not hold that draw.
    """
    if config.shots is None:
        return train
    if config.draw is None:
        return few_shot(train, config.shots, seed, test)
    return published_draw(train, config.shots, config.draw)


def few_shot(labelled: LabelledSet, shots: int, seed: int, test: LabelledSet | None = None) -> LabelledSet:
    """``shots`` examples of each class, drawn by ``seed``, no sequence twice and none that is in ``test``.

    Raises:
        CmgemsError: if the labels are not one class a sequence.
        DataError: if a class has fewer.
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    excluded_N = excluded_rows(labelled, test)
    return labelled.take(draw_rows(_classes(labelled), labelled.names, excluded_N, shots, generator))


def draw_rows(
    classes_N: np.ndarray,
    names: Sequence[str],
    excluded_N: np.ndarray,
    shots: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Sorted indices of ``shots`` rows of each class, without those of ``excluded_N``.

    Raises:
        DataError: if a class has fewer.
    """
    drawn = []
    for index, label in enumerate(names):
        members = np.flatnonzero((classes_N == index) & ~excluded_N)
        if len(members) < shots:
            excluded = int(np.sum(excluded_N & (classes_N == index)))
            raise DataError(
                "fewer rows than shots",
                where="data.shots",
                why=f"{len(members)} training examples of class {label!r}"
                + (f", and {excluded} more that repeat a row or are in the test set" if excluded else "")
                + f"; {shots} shots were requested",
                fix="ask for fewer, or give more rows",
            )
        drawn.append(generator.choice(members, shots, replace=False))
    return np.sort(np.concatenate(drawn))


def published_draw(labelled: LabelledSet, shots: int, draw: int) -> LabelledSet:
    """The published draw ``draw`` (from 0): rows ``draw * shots`` to ``(draw + 1) * shots`` of every class.

    Raises:
        CmgemsError: if the labels are not one class a sequence.
        DataError: if the classes do not hold the same whole number of draws, or too few.
    """
    classes_N = _classes(labelled)
    counts = {label: int(np.sum(classes_N == index)) for index, label in enumerate(labelled.names)}
    draws = _whole_draws(counts, shots, "the training set")
    if draw >= draws:
        raise DataError(
            "no such draw",
            where="data.draw",
            why=f"{draw} was requested, the training set holds {draws} of {shots} shots, numbered from 0",
            fix=f"choose 0 to {draws - 1}, or set data.draw=null to draw by the seed",
        )
    drawn = [
        np.flatnonzero(classes_N == index)[draw * shots : (draw + 1) * shots]
        for index in range(len(labelled.names))
    ]
    return labelled.take(np.sort(np.concatenate(drawn)))


def count_draws(folder: Path, shots: int, columns: Columns | None = None) -> int:
    """How many published draws of ``shots`` rows a class the training file of ``folder`` holds.

    Raises:
        DataError: if the file is bad, or its classes do not hold the same whole number of draws.
    """
    rows = RowReader(columns or Columns(), Invalid()).read(find_layout(folder), ("train",))["train"]
    return _whole_draws(Counter(row.cells[0] for row in rows), shots, rows[0].path)


def _whole_draws(counts: dict[str, int], shots: int, where: object) -> int:
    draws = min(counts.values(), default=0) // shots
    for label, count in sorted(counts.items()):
        if count != max(draws, 1) * shots:
            raise DataError(
                "not whole draws",
                where=where,
                why=f"class {label!r} has {count} rows, {max(draws, 1)} x {shots} were expected",
                fix="set data.shots to the rows of a class in one draw, or data.draw=null to draw by the seed",
            )
    return draws


def _classes(labelled: LabelledSet) -> np.ndarray:
    if not isinstance(labelled.labels, np.ndarray) or labelled.labels.ndim > 1:
        raise CmgemsError(
            "shots without classes",
            where="data.shots",
            why="they are drawn of each class of sequences",
            fix="set data.shots=null, or task=classification",
        )
    return labelled.labels
