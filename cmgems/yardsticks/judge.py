"""How good a learner is without a look at the test set: on dev, or by cross-validation of train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cmgems.errors import DataError
from cmgems.tasks import Task
from cmgems.yardsticks.learners import Learner

FOLDS = 5


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores learners by the task's metric, the higher the better.

    Attributes:
        task: Knows the metric.
        train: Labels of the training examples: int64 (N,) or float64 (N, C).
        dev: Labels of the dev set; None to score by cross-validation.
        folds: For each training example, the fold in which it is predicted by a learner that has not seen it.
    """

    task: Task
    train: np.ndarray
    dev: np.ndarray | None
    folds: np.ndarray

    @classmethod
    def of(cls, task: Task, train: np.ndarray, dev: np.ndarray | None) -> Judge:
        """On dev, or by 5-fold cross-validation, stratified by class; of few examples fewer folds.

        Raises:
            DataError: if there is no dev set, and a class, or everything, has one example only.
        """
        classes = train if train.ndim == 1 else np.zeros(len(train), np.int64)
        fewest = int(np.unique(classes, return_counts=True)[1].min())
        if dev is None and fewest < 2:
            raise DataError(
                "nothing to choose by",
                where="train",
                why="there is no dev set, and too few rows for cross-validation",
                fix="give two rows of each class, or a dev set",
            )
        return cls(task, train, dev, _folds(classes, min(FOLDS, fewest)))

    @property
    def chosen_on(self) -> str:
        """'dev', '5-fold cross-validation of train'."""
        return "dev" if self.dev is not None else f"{self.folds.max() + 1}-fold cross-validation of train"

    def score(self, learner: Learner, train: Any, dev: Any) -> float:
        """The metric of what ``learner`` predicts, -inf if undefined.

        Args:
            learner: What is scored.
            train: Its inputs of the training examples.
            dev: Those of the dev set; not used without one.
        """
        if self.dev is not None:
            return self._value(self.dev, learner.fit(train, self.train)(dev))
        of_fold = [np.flatnonzero(self.folds == fold) for fold in range(self.folds.max() + 1)]
        seen = [np.flatnonzero(self.folds != fold) for fold in range(len(of_fold))]
        found = [
            learner.fit(train[rows], self.train[rows])(train[left_out])
            for rows, left_out in zip(seen, of_fold, strict=True)
        ]
        return self._value(self.train[np.concatenate(of_fold)], np.concatenate(found))

    def _value(self, labels: np.ndarray, predictions_NC: np.ndarray) -> float:
        return self.task.selection_value(self.task.metrics(labels, predictions_NC))


def _folds(classes_N: np.ndarray, count: int) -> np.ndarray:
    """The fold of each example: the examples of each class are dealt out in a random order, the same every time."""
    order = np.random.Generator(np.random.Philox(key=0)).permutation(len(classes_N))
    order = order[np.argsort(classes_N[order], kind="stable")]
    folds_N = np.empty(len(classes_N), np.int64)
    folds_N[order] = np.arange(len(classes_N)) % count
    return folds_N
