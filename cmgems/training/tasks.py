"""Fine-tuning tasks: the loss and the scores of a kind of label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, roc_auc_score
from torch.nn import functional as F

from cmgems.registry import Registry

Metric = Literal["accuracy", "macro_f1", "mcc", "auc"]


class Task(Protocol):
    """What fine-tuning optimises and reports. Registered as a frozen dataclass."""

    metric: Metric

    def loss(self, logits_BC: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """Scalar to minimise, mean over the batch."""
        ...

    def scores(self, labels_N: np.ndarray, probabilities_NC: np.ndarray) -> dict[str, float]:
        """Every metric by name."""
        ...


TASKS: Registry[Task] = Registry("task")


@TASKS.register("classification")
@dataclass(frozen=True)
class Classification:
    """One class out of two or more.

    Attributes:
        metric: Chooses the best epoch on the dev set (GUE: mcc, macro_f1 for covid).
    """

    metric: Metric = "mcc"

    def loss(self, logits_BC: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits_BC.float(), labels_B)

    def scores(self, labels_N: np.ndarray, probabilities_NC: np.ndarray) -> dict[str, float]:
        """Accuracy, macro-F1, MCC (0 when one class is predicted) and AUC (one against rest, macro).

        AUC is NaN when ``labels_N`` lacks a class.
        """
        predicted_N = probabilities_NC.argmax(1)
        classes = probabilities_NC.shape[1]
        whole = len(np.unique(labels_N)) == classes
        if not whole:
            auc = float("nan")
        elif classes == 2:
            auc = roc_auc_score(labels_N, probabilities_NC[:, 1])
        else:
            # float32 softmax rows sum to 1 only to 1e-7, which scikit-learn refuses.
            exact_NC = probabilities_NC.astype(np.float64)
            exact_NC /= exact_NC.sum(1, keepdims=True)
            auc = roc_auc_score(labels_N, exact_NC, multi_class="ovr")
        return {
            "accuracy": float(accuracy_score(labels_N, predicted_N)),
            "macro_f1": float(f1_score(labels_N, predicted_N, average="macro", zero_division=0)),
            "mcc": float(matthews_corrcoef(labels_N, predicted_N)),
            "auc": float(auc),
        }
