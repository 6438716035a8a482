"""The audit beside the runs of a dataset: made once for every training set, and kept as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cmgems.config import Component, contents
from cmgems.data import LabelledConfig, LabelledSet, draw_shots
from cmgems.errors import DataError
from cmgems.files import is_there
from cmgems.tasks import TASKS, Task
from cmgems.yardsticks import Audit, Examples, ExampleSet, audit, read_audit, read_examples, write_audit

NO_TOKENS = np.empty(0, np.int32)


def kept_audit(path: Path, config: Any) -> Audit | None:
    """The audit of what a fine-tuning run learns from: the one in ``path``, or a new one that is written there.

    Args:
        path: Of the file. One of other data, or of another version, is replaced.
        config: Of the run; that of an edited copy of the recipe may lack ``data`` or ``task``: then there is no audit.

    Raises:
        DataError: if the data cannot be used.
        CmgemsError: if the file cannot be written.
    """
    data, task = getattr(config, "data", None), getattr(config, "task", None)
    if (
        not isinstance(data, LabelledConfig)
        or not isinstance(task, Component)
        or task.name not in TASKS.names()
    ):
        return None
    learnt, seed = task.build(TASKS), getattr(config, "seed", 0)
    about = _about(data, learnt, seed)
    if is_there(path):
        try:
            kept = read_audit(path)
        except DataError:  # of another version, or damaged
            kept = None
        if kept is not None and kept.data == about:
            return kept
    found = audit(learnt, _examples(data, learnt, seed), about)
    write_audit(found, path)
    return found


def _about(data: LabelledConfig, task: Task, seed: int) -> dict[str, Any]:
    """What an audit depends on, as JSON gives it back."""
    drawn_by = seed if data.shots is not None and data.draw is None else None
    values = {
        "sequence": data.sequence,
        "labels": data.labels,
        "window": data.window,
        "invalid": data.invalid,
        "shots": data.shots,
        "draw": data.draw,
        "seed": drawn_by,
        "task": task.head,
        "metric": task.metric,
        "inputs": contents(data),
    }
    return dict(json.loads(json.dumps(values)))


def _examples(data: LabelledConfig, task: Task, seed: int) -> ExampleSet:
    """What a run with these settings trains, chooses and tests on."""
    whole = read_examples(data.dir, task.labels, data.columns(), data.unusable_rows())
    if data.shots is None:
        return whole
    train, test = (
        LabelledSet([NO_TOKENS] * len(split), split.labels, whole.names, bases=split.bases)
        for split in (whole.splits["train"], whole.splits["test"])
    )
    drawn = draw_shots(data, train, test, seed)
    return ExampleSet({"train": Examples.of(drawn), "test": whole.splits["test"]}, whole.names)
