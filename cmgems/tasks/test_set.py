"""What the test set says about a fine-tuned model: metrics, leaked rows, collapse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cmgems.data import LabelledSet, leaked_rows
from cmgems.runs.summary import CLASSES_PREDICTED, LEAKED, TEST_SEQUENCES, metric_key
from cmgems.tasks import Task


def summarise_test(
    task: Task, train: LabelledSet, test: LabelledSet, predictions_NC: np.ndarray
) -> dict[str, Any]:
    """Metrics by key: ``test_mcc``, and ``clean_test_mcc`` without the rows whose sequence is in ``train``.

    Beside them the number of test sequences, of those that are in train and, of a classifier, how many classes it
    predicts. There are no clean scores if no row leaks, or every row does.

    Args:
        task: Knows the scores.
        train: What the model was trained on.
        test: N sequences.
        predictions_NC: ``task.predictions``; of a classifier of tokens those of all sequences end to end.
    """
    leaked_N = leaked_rows(train, test)
    report: dict[str, Any] = {TEST_SEQUENCES: len(test), LEAKED: int(leaked_N.sum())}
    if task.head == "classification":
        report[CLASSES_PREDICTED] = len(np.unique(predictions_NC.argmax(1)))
    scores = task.metrics(test.targets, predictions_NC)
    report |= {metric_key(name): value for name, value in scores.items()}
    if leaked_N.any() and not leaked_N.all():
        of_tokens = not isinstance(test.labels, np.ndarray)
        kept = np.repeat(~leaked_N, [len(ids_S) for ids_S in test.ids]) if of_tokens else ~leaked_N
        clean = task.metrics(test.targets[kept], predictions_NC[kept])
        report |= {metric_key(name, clean=True): value for name, value in clean.items()}
    return report


def collapse_warning(report: Mapping[str, Any]) -> str | None:
    """A warning about a classifier that gives every sequence the same class; None if it does not."""
    if report.get(CLASSES_PREDICTED) != 1:
        return None
    return (
        f"collapse: all {report.get(TEST_SEQUENCES, '')} test sequences get the same class; "
        "try another seed, a lower optim.lr, or more epochs"
    )
