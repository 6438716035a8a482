"""What learns labels from fixed numbers: linear models, Markov chains, the labels of twins.

Shape suffixes: N examples, C outputs, K columns, P contexts of a chain.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import softmax

from cmgems.data import count_twins
from cmgems.models import Head

Predict = Callable[[Any], np.ndarray]
STRENGTHS = (1e4, 1e3, 1e2, 10.0, 1.0)
MOST_ITERATIONS = 200


class Learner(Protocol):
    """Learns from inputs of N examples: an array or sparse matrix (N, K), or the sequences themselves."""

    def fit(self, inputs: Any, labels: np.ndarray) -> Predict:
        """What gives the predictions, (N, C), of other inputs: probabilities, or quantities.

        Args:
            inputs: Of the training examples.
            labels: int64 (N,) or float64 (N, C).
        """
        ...


@dataclass(frozen=True)
class Linear:
    """Logistic regression of classes, one for each of several labels, or ridge regression of quantities.

    Columns are divided by their standard deviation in training, and centred if the inputs are an array.

    Attributes:
        head: What is predicted.
        outputs: How many classes, labels or quantities there are.
        strength: Of the L2 penalty: 1 / C of scikit-learn's logistic regression, alpha of its ridge regression.
    """

    head: Head
    outputs: int
    strength: float

    def fit(self, inputs: Any, labels: np.ndarray) -> Predict:
        # Imported where it learns: it takes a second.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        logistic = LogisticRegression(C=1 / self.strength, max_iter=MOST_ITERATIONS, tol=1e-3)
        model: Any = {
            "classification": logistic,
            "multi_label": OneVsRestClassifier(logistic),
            "regression": Ridge(alpha=self.strength),
        }[self.head]
        if self.head == "multi_label" and self.outputs == 1:
            labels = labels.repeat(2, 1)  # scikit-learn takes a single label for two classes
        fitted = make_pipeline(StandardScaler(with_mean=isinstance(inputs, np.ndarray)), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a slow fit is scored like any other
            warnings.filterwarnings("ignore", "Label .* is present in all training examples")
            fitted.fit(inputs, labels)
        if self.head == "classification":
            return lambda others: self._of_all_classes(fitted.predict_proba(others), model.classes_)
        if self.head == "multi_label":
            return lambda others: np.asarray(fitted.predict_proba(others))[:, : self.outputs]
        return lambda others: fitted.predict(others).reshape(-1, self.outputs)

    def _of_all_classes(self, probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """(N, C), with 0 for a class that the training examples lack."""
        found_NC = np.zeros((len(probabilities), self.outputs))
        found_NC[:, classes] = probabilities
        return found_NC

    def __str__(self) -> str:
        if self.head == "regression":
            return f"ridge, alpha = {self.strength:g}"
        return f"logistic, C = {1 / self.strength:g}"


@dataclass(frozen=True)
class MarkovChains:
    """A chain for each class: the probability of a base given those before it. The likelier class wins.

    Every base has been seen once more in every context than it was. The first bases, which have no whole context, count
    for nothing.

    Attributes:
        order: How many bases before count.
        outputs: How many classes there are.
    """

    order: int
    outputs: int

    def fit(self, inputs: Any, labels: np.ndarray) -> Predict:
        """Inputs are counts of the words of ``order`` + 1 bases."""
        held_NC = np.eye(self.outputs, dtype=np.float32)[labels]
        seen_CP4 = (inputs.T @ held_NC).T.reshape(self.outputs, -1, 4) + 1
        chances_CP4 = np.log(seen_CP4) - np.log(seen_CP4.sum(-1, keepdims=True))
        weights_KC = chances_CP4.reshape(self.outputs, -1).T
        prior_C = np.log(held_NC.sum(0) + 1)
        return lambda others: softmax(others @ weights_KC + prior_C, axis=1)

    def __str__(self) -> str:
        return f"order {self.order}"


@dataclass(frozen=True)
class TwinLabels:
    """The label that a row's twins in train have, or the one they have not; without twins, the commonest.

    Attributes:
        same: Whether it is the one they have.
        outputs: How many classes there are.
    """

    same: bool
    outputs: int

    def fit(self, inputs: Any, labels: np.ndarray) -> Predict:
        """Inputs are the sequences."""
        prior_C = np.bincount(labels, minlength=self.outputs) / len(labels)

        def predict(rows: Any) -> np.ndarray:
            counts_NC = count_twins(rows, inputs, labels, self.outputs)
            twins_N1 = counts_NC.sum(1, keepdims=True)
            share_NC = counts_NC / np.maximum(twins_N1, 1)
            wanted_NC = share_NC if self.same else (1 - share_NC) / (self.outputs - 1)
            return np.where(twins_N1 > 0, wanted_NC, prior_C)

        return predict

    def __str__(self) -> str:
        return "the label they have" if self.same else "the label they do not have"
