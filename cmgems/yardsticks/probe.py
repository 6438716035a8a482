"""Linear probes of fixed vectors: which layer and penalty is chosen on dev, or by cross-validation of train."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from cmgems.errors import DataError
from cmgems.tasks import Task
from cmgems.yardsticks.judge import Judge
from cmgems.yardsticks.learners import STRENGTHS, Linear

UNCHOSEN = 1.0  # the penalty where there is nothing to choose by


class VectorsByLayer(Protocol):
    """Vectors of N sequences, one layer at a time."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Their numbers, the last one last."""
        ...

    def of_layer(self, layer: int) -> np.ndarray:
        """float32 (N, D)."""
        ...


class Tried(NamedTuple):
    """A layer and a penalty, and how good they are."""

    layer: int
    strength: float
    score: float


@dataclass(frozen=True)
class Probe:
    """A fitted probe.

    Attributes:
        layer: Whose vectors it reads.
        learner: Its kind and penalty.
        chosen_on: "dev", "5-fold cross-validation of train"; "nothing" where there are too few rows: then it is the
            last layer, with a penalty of 1.
        tried: The best penalty of each layer; none where nothing was chosen.
        predict: What it says of vectors (N, D): probabilities or quantities (N, C).
    """

    layer: int
    learner: Linear
    chosen_on: str
    tried: tuple[Tried, ...]
    predict: Callable[[Any], np.ndarray]


def fit_probe(
    task: Task,
    outputs: int,
    train: tuple[VectorsByLayer, np.ndarray],
    dev: tuple[VectorsByLayer, np.ndarray] | None,
    strengths: Sequence[float] = STRENGTHS,
) -> Probe:
    """Fit a probe to train.

    Args:
        task: What the labels are, and the metric by which is chosen.
        outputs: How many classes, labels or quantities there are.
        train: Vectors and labels: int64 (N,) or float64 (N, C).
        dev: Likewise, to choose by; None for cross-validation.
        strengths: Penalties, strong ones first: of equal scores the first counts.
    """
    vectors, labels = train
    tried: list[Tried] = []
    chosen_on = "nothing"
    best = Tried(vectors.layers[-1], UNCHOSEN, math.nan)
    try:
        judge = Judge.of(task, labels, None if dev is None else dev[1])
    except DataError:
        pass  # one example of a class: there is nothing to choose by, and still something to learn
    else:
        learners = [Linear(task.head, outputs, strength) for strength in strengths]
        tried = list(_tried(judge, learners, vectors, None if dev is None else dev[0]))
        best, chosen_on = max(tried, key=lambda one: one.score), judge.chosen_on
    learner = Linear(task.head, outputs, best.strength)
    predict = learner.fit(vectors.of_layer(best.layer), labels)
    return Probe(best.layer, learner, chosen_on, tuple(tried), predict)


def _tried(
    judge: Judge, learners: Sequence[Linear], train: VectorsByLayer, dev: VectorsByLayer | None
) -> Iterator[Tried]:
    """The best learner of each layer."""
    for layer in train.layers:
        inputs = train.of_layer(layer), None if dev is None else dev.of_layer(layer)
        scores = [judge.score(learner, *inputs) for learner in learners]
        best = int(np.argmax(scores))
        yield Tried(layer, learners[best].strength, scores[best])
