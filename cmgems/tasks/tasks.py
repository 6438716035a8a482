"""Fine-tuning tasks: the labels, the loss and the scores, and the head of the model that learns them.

Shape suffixes: B sequences of a batch, S tokens of a row, N sequences (or tokens end to end) of a split, C outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cmgems.data.labels import ClassPerBase, LabelKind, LabelSet, OneClass, Quantities
from cmgems.errors import CmgemsError
from cmgems.models import Head
from cmgems.registry import Registry
from cmgems.tasks.metrics import Metrics, class_auc, class_metrics, label_metrics, quantity_metrics
from cmgems.tasks.predict import activate
from cmgems.tasks.weights import (
    Weights,
    as_tensor,
    check_smoothing,
    check_weights,
    fit_weights,
    inverse_frequencies,
)
from cmgems.tokenization import IGNORE


class Task(Protocol):
    """What fine-tuning learns and reports. Registered as a frozen dataclass that inherits from it.

    Attributes:
        metric: The score that chooses the best epoch on the dev set.
        head: What the model ends in.
        labels: How the label columns are read.
    """

    metric: str
    head: ClassVar[Head]
    labels: ClassVar[LabelKind]

    def fit(self, targets: np.ndarray, names: Sequence[str]) -> Task:
        """The task that knows what it must of the training labels: ``LabelledSet.targets`` and ``names``."""
        return self

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Scalar to minimise, of logits (B, C) or (B, S, C) and a batch's labels, in float32."""
        ...

    def loss_weight(self, labels: np.ndarray) -> float:
        """What the loss of a batch is divided by: what a part of it counts for in the whole."""
        return float((labels != IGNORE).sum()) if labels.dtype == np.int64 else float(len(labels))

    def predictions(self, logits_NC: np.ndarray) -> np.ndarray:
        """What the logits mean: probabilities, or quantities in the units of the labels."""
        return activate(logits_NC, self.head)

    def metrics(self, targets: np.ndarray, predictions_NC: np.ndarray) -> Metrics:
        """Every metric by name; NaN where it is undefined."""
        ...

    def selection_value(self, scores: Mapping[str, float]) -> float:
        """How good an epoch is, the higher the better; an undefined score is worse than any other."""
        value = scores[self.metric]
        return -math.inf if math.isnan(value) else value

    def finish_training(self, model: nn.Module) -> None:
        """Bring a trained model, in place, to the form in which it is saved: it gives what its labels say."""


TASKS: Registry[Task] = Registry("task")


@dataclass(frozen=True, kw_only=True)
class ClassTask(Task):
    """What tasks have in common whose labels are classes that exclude each other.

    Attributes:
        class_weights: How much the labels of each class count in the loss, in the order of the classes (numbers by
            value, names by name); `balanced` for the inverse of how frequent each is in training.
        label_smoothing: Share of every label that is spread evenly over all classes.
    """

    class_weights: Weights = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_weights("class_weights", self.class_weights)
        check_smoothing(self.label_smoothing)

    def fit(self, targets: np.ndarray, names: Sequence[str]) -> Task:
        """The same with a weight for each class."""
        counts_C = np.bincount(targets[targets != IGNORE], minlength=len(names))
        weights = fit_weights("class_weights", self.class_weights, inverse_frequencies(counts_C), names)
        return replace(self, class_weights=weights)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy (nats), mean over the labels, each counted by the weight of its class."""
        return F.cross_entropy(
            logits.float().flatten(0, -2),
            labels.flatten(),
            as_tensor(self.class_weights, labels.device),
            ignore_index=IGNORE,
            label_smoothing=self.label_smoothing,
        )

    def loss_weight(self, labels: np.ndarray) -> float:
        if self.class_weights is None:
            return super().loss_weight(labels)
        return float(np.take(self.class_weights, labels[labels != IGNORE]).sum())


@TASKS.register("classification")
@dataclass(frozen=True)
class Classification(ClassTask):
    """One class out of two or more.

    Attributes:
        metric: Chooses the best epoch on the dev set (GUE: mcc, macro_f1 for covid).
    """

    head: ClassVar[Head] = "classification"
    labels: ClassVar[LabelKind] = OneClass()
    metric: Literal["accuracy", "macro_f1", "mcc", "auc"] = "mcc"

    def metrics(self, targets: np.ndarray, predictions_NC: np.ndarray) -> Metrics:
        """Accuracy, macro-F1, MCC and AUC."""
        return class_metrics(targets, predictions_NC) | {"auc": class_auc(targets, predictions_NC)}


@TASKS.register("multi_label")
@dataclass(frozen=True)
class MultiLabel(Task):
    """Labels that may hold together, or none of them.

    Attributes:
        metric: Chooses the best epoch on the dev set. F1 is that of the labels of probability above 0.5.
        positive_weights: How much each label counts in the loss where it holds, in the order of the labels; 1 where it
            does not. `balanced` for sequences without it by sequences with it, in training.
        label_smoothing: Share of every label that is spread evenly over holding and not.
    """

    head: ClassVar[Head] = "multi_label"
    labels: ClassVar[LabelKind] = LabelSet()
    metric: Literal["macro_f1", "micro_f1", "auc", "average_precision"] = "average_precision"
    positive_weights: Weights = None
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_weights("positive_weights", self.positive_weights)
        check_smoothing(self.label_smoothing)

    def fit(self, targets: np.ndarray, names: Sequence[str]) -> Task:
        """The same with a weight for each label."""
        held_C = targets.sum(0)
        odds_against_C = np.maximum(len(targets) - held_C, 1) / np.maximum(held_C, 1)
        weights = fit_weights("positive_weights", self.positive_weights, odds_against_C, names)
        return replace(self, positive_weights=weights)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy (nats), mean over sequences and labels."""
        smoothed = labels.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
        weights_C = as_tensor(self.positive_weights, labels.device)
        return F.binary_cross_entropy_with_logits(logits.float(), smoothed, pos_weight=weights_C)

    def metrics(self, targets: np.ndarray, predictions_NC: np.ndarray) -> Metrics:
        """Macro- and micro-F1, AUC and average precision, both mean over labels."""
        return label_metrics(targets, predictions_NC)


@TASKS.register("token_classification")
@dataclass(frozen=True)
class TokenClassification(ClassTask):
    """A class for every base, learnt and scored token by token (``TokenMap.labels``).

    Attributes:
        metric: Chooses the best epoch on the dev set.
    """

    head: ClassVar[Head] = "token_classification"
    labels: ClassVar[LabelKind] = ClassPerBase()
    metric: Literal["accuracy", "macro_f1", "mcc"] = "mcc"

    def metrics(self, targets: np.ndarray, predictions_NC: np.ndarray) -> Metrics:
        """Accuracy, macro-F1 and MCC of the tokens that have a label."""
        labelled = targets != IGNORE
        return class_metrics(targets[labelled], predictions_NC[labelled])


@TASKS.register("regression")
@dataclass(frozen=True)
class Regression(Task):
    """One quantity or several.

    Attributes:
        metric: Chooses the best epoch on the dev set; of mse the lowest.
    """

    head: ClassVar[Head] = "regression"
    labels: ClassVar[LabelKind] = Quantities()
    metric: Literal["pearson", "spearman", "r2", "mse"] = "pearson"

    def fit(self, targets: np.ndarray, names: Sequence[str]) -> Task:
        """The same with targets of mean 0 and variance 1 in training."""
        return StandardisedRegression(self.metric, mean_C=targets.mean(0), sd_C=targets.std(0))

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Squared error, mean over sequences and quantities."""
        return F.mse_loss(logits.float(), labels.float())

    def metrics(self, targets: np.ndarray, predictions_NC: np.ndarray) -> Metrics:
        """Correlations, R2 and mean squared error in the units of the labels, mean over quantities."""
        return quantity_metrics(targets, predictions_NC)

    def selection_value(self, scores: Mapping[str, float]) -> float:
        return super().selection_value({"mse": -scores["mse"]} if self.metric == "mse" else scores)


@dataclass(frozen=True, eq=False, kw_only=True)
class StandardisedRegression(Regression):
    """Regression whose model is trained on (target - mean) / sd, and saved with both in its last layer.

    Attributes:
        mean_C, sd_C: float64, of the training targets.
    """

    mean_C: np.ndarray
    sd_C: np.ndarray

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Squared error in standard deviations, mean over sequences and quantities."""
        mean_C, sd_C = self._scale(labels.device)
        return super().loss(logits, (labels - mean_C) / sd_C)

    def predictions(self, logits_NC: np.ndarray) -> np.ndarray:
        values_NC: np.ndarray = logits_NC * self.sd_C + self.mean_C
        return values_NC

    @torch.no_grad()
    def finish_training(self, model: nn.Module) -> None:
        last = self._last_layer(model)
        mean_C, sd_C = self._scale(last.weight.device)
        last.weight.copy_(last.weight.double() * sd_C[:, None])
        last.bias.copy_(last.bias.double() * sd_C + mean_C)

    def _scale(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(self.mean_C).to(device), torch.from_numpy(self.sd_C).to(device)

    def _last_layer(self, model: nn.Module) -> nn.Linear:
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        if not linear or linear[-1].out_features != len(self.mean_C) or linear[-1].bias is None:
            raise CmgemsError(
                "no linear layer at the end",
                where="model",
                why="the mean and spread of the targets go into its weight and bias",
                fix="end the model's head with a torch.nn.Linear",
            )
        return linear[-1]
