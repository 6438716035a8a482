"""What a labelled set lets a model know without biology: copies, twins, associations; and baselines beside every score.

An audit is a value: ``write_audit`` and ``read_audit`` keep it as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cmgems.data import Copies, count_twins, find_copies
from cmgems.data.columns import Columns
from cmgems.data.label_files import labels_content
from cmgems.data.twins import count_equal
from cmgems.errors import DataError
from cmgems.files import read_json, without_nan, write_json
from cmgems.reading import Invalid
from cmgems.runs.summary import Part
from cmgems.tasks import Task
from cmgems.yardsticks.associations import Association, associations
from cmgems.yardsticks.baselines import Baseline, Baselines, fit_baselines
from cmgems.yardsticks.examples import Examples, ExampleSet, read_examples
from cmgems.yardsticks.learners import TwinLabels

VERSION = 1  # of what an audit is; one of another version is made anew


@dataclass(frozen=True)
class Likeness:
    """How many rows of a split have their like in others. A row is in one of the first three counts at most.

    Attributes:
        split: Whose rows are counted ("test").
        among: Where their like is looked for ("train", "train or dev").
        rows: All rows of ``split``.
        exact: With the same letters there.
        reverse: With the letters of the other strand there.
        near: With a near copy there (``cmgems.data.copies``).
        exact_relabelled: Of ``exact``, those whose copy has another label there; None where labels are no classes.
        twins: With a twin there (``cmgems.data.twins``).
        twins_relabelled: Of ``twins``, those with a twin of another label; None likewise.
    """

    split: str
    among: str
    rows: int
    exact: int
    reverse: int
    near: int
    exact_relabelled: int | None
    twins: int
    twins_relabelled: int | None


@dataclass(frozen=True)
class Audit:
    """What was found in a labelled set.

    Attributes:
        data: What was read, by whoever asked for the audit.
        rows: How many there are of each split.
        names: Classes, labels or quantities.
        likeness: Rows of dev and test that have their like in another split.
        novel: Test rows without a copy or twin in train or dev.
        twin_rules: Of classes, the MCC of all test rows where each gets the label that its twins in train or dev have,
            and where it gets one they do not have; the commonest label without twins.
        associations: Of the labels of train; none where every base has its own.
        baselines: None if there are none, ``notes`` say why.
        notes: What a reader should know.
    """

    data: Mapping[str, Any]
    rows: Mapping[str, int]
    names: tuple[str, ...]
    likeness: tuple[Likeness, ...]
    novel: int
    twin_rules: Mapping[str, float]
    associations: tuple[Association, ...]
    baselines: Baselines | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Found:
    """What rows have elsewhere: copies, and of each label how many twins and how many exact copies."""

    copies: Copies
    twins_NC: np.ndarray
    exact_NC: np.ndarray

    def __or__(self, other: _Found) -> _Found:
        """What they have in either of two places."""
        one, two = self.copies, other.copies
        exact_N = one.exact_N | two.exact_N
        reverse_N = (one.reverse_N | two.reverse_N) & ~exact_N
        copies = Copies(exact_N, reverse_N, (one.near_N | two.near_N) & ~exact_N & ~reverse_N)
        return _Found(copies, self.twins_NC + other.twins_NC, self.exact_NC + other.exact_NC)


def audit_examples(task: Task, examples: ExampleSet, data: Mapping[str, Any]) -> Audit:
    """Audit a labelled set.

    Args:
        task: What the labels are, and the metric by which baselines are chosen.
        examples: The set.
        data: JSON values that say what was read.
    """
    splits, of_classes = examples.splits, task.head == "classification"
    outputs = len(examples.names) if of_classes else 1
    find = partial(_find, outputs=outputs)
    train, dev, test = splits["train"], splits.get("dev"), splits["test"]
    count = partial(_likeness, of_classes=of_classes)
    known = find(test, train)
    clean_N = ~known.copies.exact_N
    likeness = [count("test", "train", test, known)]
    if dev is not None:
        in_dev = find(test, dev)
        known |= in_dev
        likeness += [
            count("dev", "train", dev, find(dev, train)),
            count("test", "dev", test, in_dev),
            count("test", "train or dev", test, known),
        ]
    novel_N = ~(known.copies.copied | known.twins_NC.any(1))
    parts: dict[Part, np.ndarray] = {
        "all": np.ones(len(test), np.bool_),
        "clean": clean_N,
        "novel": novel_N,
    }
    notes = [] if dev is not None else ["no dev set: baselines are chosen by cross-validation of train"]
    baselines: Baselines | None = None
    try:
        baselines = fit_baselines(task, examples, parts)
    except DataError as error:
        notes = [error.line()]
    if baselines is not None and baselines.rows < len(train):
        notes.append(f"baselines are fitted on {baselines.rows:,} of {len(train):,} training rows")
    return Audit(
        data=data,
        rows={split: len(of_split) for split, of_split in splits.items()},
        names=examples.names,
        likeness=tuple(likeness),
        novel=int(novel_N.sum()),
        twin_rules=_twin_rules(task, examples) if of_classes else {},
        associations=() if task.labels.per_base else tuple(associations(train, examples.names)),
        baselines=baselines,
        notes=tuple(notes),
    )


def audit_folder(folder: Path, task: Task, columns: Columns, invalid: Invalid) -> Audit:
    """Read and audit a labelled set, see ``read_examples``.

    Args:
        folder: Holds the files of its splits.
        task: What the labels are, and the metric by which baselines are chosen.
        columns: The columns of tables.
        invalid: What to do about rows that cannot be used.

    Raises:
        DataError: as ``read_examples``.
    """
    examples = read_examples(folder, task.labels, columns, invalid)
    data = {
        "folder": str(folder),
        "sequence": columns.sequence,
        "labels": columns.labels,
        "task": task.head,
        "sha256": labels_content(folder),
    }
    found = audit_examples(task, examples, data)
    if invalid.skipped:
        return replace(found, notes=(*found.notes, f"{len(invalid.skipped):,} rows left out"))
    return found


def audit_values(found: Audit) -> dict[str, Any]:
    """An audit as JSON values; what is NaN is null there."""
    return {"version": VERSION, **without_nan(asdict(found))}


def write_audit(found: Audit, path: Path) -> None:
    """Write an audit as JSON."""
    write_json(path, audit_values(found))


def read_audit(path: str | Path) -> Audit:
    """The audit in a file.

    Raises:
        DataError: if there is none, or of another version.
    """
    values = read_json(Path(path))
    try:
        if values.pop("version") != VERSION:
            raise DataError("an audit of another version", where=path, fix="make it anew")
        return Audit(**{
            **values,
            "names": tuple(values["names"]),
            "likeness": tuple(Likeness(**one) for one in values["likeness"]),
            "associations": tuple(Association(**_with_nan(one)) for one in values["associations"]),
            "baselines": read_baselines(values["baselines"]),
            "notes": tuple(values["notes"]),
        })  # fmt: skip
    except (KeyError, TypeError) as error:
        raise DataError("not an audit", where=path, why=str(error)) from error


def read_baselines(values: dict[str, Any] | None) -> Baselines | None:
    """Baselines from JSON values, with NaN for null; None if there are none."""
    if values is None:
        return None
    families = tuple(Baseline(**_with_nan(family)) for family in values["families"])
    return Baselines(**{**values, "families": families})


def _with_nan(values: Any) -> Any:
    """JSON values with NaN for null."""
    if isinstance(values, dict):
        return {key: _with_nan(value) for key, value in values.items()}
    return float("nan") if values is None else values


def _find(rows: Examples, others: Examples, outputs: int) -> _Found:
    """What ``rows`` have among ``others``; labels count as one where they are no classes."""
    labels_M = others.labels if outputs > 1 else np.zeros(len(others), np.int64)
    arguments = rows.bases, others.bases
    twins_NC = count_twins(*arguments, labels_M, outputs)
    return _Found(find_copies(*arguments), twins_NC, count_equal(*arguments, labels_M, outputs))


def _likeness(split: str, among: str, rows: Examples, found: _Found, of_classes: bool) -> Likeness:
    twins_N = found.twins_NC.any(1)
    relabelled: list[int | None] = [None, None]
    if of_classes:
        other_NC = np.arange(found.twins_NC.shape[1]) != rows.labels[:, None]
        relabelled = [
            int((counts & other_NC).any(1).sum()) for counts in (found.exact_NC > 0, found.twins_NC > 0)
        ]
    copies = found.copies
    return Likeness(
        split=split,
        among=among,
        rows=len(rows),
        exact=int(copies.exact_N.sum()),
        reverse=int(copies.reverse_N.sum()),
        near=int(copies.near_N.sum()),
        exact_relabelled=relabelled[0],
        twins=int(twins_N.sum()),
        twins_relabelled=relabelled[1],
    )


def _twin_rules(task: Task, examples: ExampleSet) -> dict[str, float]:
    known, test = examples.known, examples.splits["test"]
    rules = {"same": True, "other": False}
    found = {}
    for name, same in rules.items():
        predict = TwinLabels(same, len(examples.names)).fit(known.bases, known.labels)
        found[name] = task.metrics(test.labels, predict(test.bases))["mcc"]
    return found
