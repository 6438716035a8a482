"""What the test set says about a fine-tuned model: metrics, leaked rows, collapse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cmgems.data import LabelledSet, leaked_rows, novel_rows
from cmgems.runs.summary import CLASSES_PREDICTED, LEAKED, NOVEL, TEST_SEQUENCES, Part, metric_key
from cmgems.tasks import Task


def summarise_test(
    task: Task,
    train: LabelledSet,
    test: LabelledSet,
    predictions_NC: np.ndarray,
    dev: LabelledSet | None = None,
) -> dict[str, Any]:
    """Metrics by key: of all rows (``test_mcc``) and of some.

    ``clean_test_mcc`` is without the rows whose sequence is in ``train``, ``novel_test_mcc`` without those that have a
    copy on either strand, near copy or twin in ``train`` or ``dev``. Beside them the number of test sequences, of
    those that are in train, of the novel ones and, of a classifier, how many classes it predicts. There are no scores
    of a part that is all rows, or none.

    Args:
        task: Knows the scores.
        train: What the model was trained on.
        test: N sequences.
        predictions_NC: ``task.predictions``; of a classifier of tokens those of all sequences end to end.
        dev: What the epoch was chosen on, if there is one.
    """
    leaked_N = leaked_rows(train, test)
    novel_N = novel_rows(test, [train] if dev is None else [train, dev])
    report: dict[str, Any] = {
        TEST_SEQUENCES: len(test),
        LEAKED: int(leaked_N.sum()),
        NOVEL: int(novel_N.sum()),
    }
    if task.head == "classification":
        report[CLASSES_PREDICTED] = len(np.unique(predictions_NC.argmax(1)))
    scores = task.metrics(test.targets, predictions_NC)
    report |= {metric_key(name): value for name, value in scores.items()}
    parts: dict[Part, np.ndarray] = {"clean": ~leaked_N, "novel": novel_N}
    for part, kept_N in parts.items():
        if kept_N.any() and not kept_N.all():
            of_tokens = not isinstance(test.labels, np.ndarray)
            kept = np.repeat(kept_N, [len(ids_S) for ids_S in test.ids]) if of_tokens else kept_N
            some = task.metrics(test.targets[kept], predictions_NC[kept])
            report |= {metric_key(name, part): value for name, value in some.items()}
    return report


def collapse_warning(report: Mapping[str, Any]) -> str | None:
    """A warning about a classifier that gives every sequence the same class; None if it does not."""
    if report.get(CLASSES_PREDICTED) != 1:
        return None
    return (
        f"collapse: all {report.get(TEST_SEQUENCES, '')} test sequences get the same class; "
        "try another seed, a lower optim.lr, or more epochs"
    )
