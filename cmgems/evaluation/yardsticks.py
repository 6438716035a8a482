"""The audit beside the runs of a dataset: made once for every training set, and kept as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cmgems.config import Component, contents
from cmgems.data import LabelledConfig, draw_shots, read_splits
from cmgems.errors import DataError
from cmgems.files import is_there
from cmgems.tasks import TASKS, Task
from cmgems.tokenization import KmerTokenizer
from cmgems.yardsticks import Audit, Examples, ExampleSet, audit, read_audit, write_audit

# Rows are read as the run reads them; of their tokens nothing is used.
SHORTEST_TOKENS = KmerTokenizer(3)


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
        "dev_share": data.dev_share,
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
    splits = read_splits(data, SHORTEST_TOKENS, sys.maxsize, task.labels)
    drawn = draw_shots(data, splits["train"], splits["test"], seed)
    chosen_on = {"dev": splits["dev"]} if "dev" in splits and data.shots is None else {}
    found = {"train": drawn, **chosen_on, "test": splits["test"]}
    return ExampleSet({name: Examples.of(split) for name, split in found.items()}, drawn.names)
