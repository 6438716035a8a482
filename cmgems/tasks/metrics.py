"""Metrics of predictions, NaN where they are undefined.

scikit-learn and scipy.stats are imported where they score: they take a second, and most commands score nothing.

Shape suffixes: N examples, C classes, labels or quantities.
"""

from __future__ import annotations

import numpy as np

Metrics = dict[str, float]


def class_metrics(labels_N: np.ndarray, probabilities_NC: np.ndarray) -> Metrics:
    """Accuracy, macro-F1 and MCC (0 when one class is predicted) of the most probable class."""
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    predicted_N = probabilities_NC.argmax(1)
    one_class = len(np.union1d(labels_N, predicted_N)) == 1  # scikit-learn says 0 too, but warns
    return {
        "accuracy": float(accuracy_score(labels_N, predicted_N)),
        "macro_f1": float(f1_score(labels_N, predicted_N, average="macro", zero_division=0)),
        "mcc": 0.0 if one_class else float(matthews_corrcoef(labels_N, predicted_N)),
    }


def class_auc(labels_N: np.ndarray, probabilities_NC: np.ndarray) -> float:
    """Area under the ROC curve, one class against the rest, mean over classes; NaN when ``labels_N`` lacks one."""
    from sklearn.metrics import roc_auc_score

    classes = probabilities_NC.shape[1]
    if len(np.unique(labels_N)) != classes:
        return float("nan")
    if classes == 2:
        return float(roc_auc_score(labels_N, probabilities_NC[:, 1]))
    # float32 softmax rows sum to 1 only to 1e-7, which scikit-learn refuses.
    exact_NC = probabilities_NC.astype(np.float64)
    exact_NC /= exact_NC.sum(1, keepdims=True)
    return float(roc_auc_score(labels_N, exact_NC, multi_class="ovr"))


def label_metrics(labels_NC: np.ndarray, probabilities_NC: np.ndarray) -> Metrics:
    """F1 at 0.5, AUC and average precision of labels that may hold together.

    AUC is the mean over the labels that some examples have and some have not, average precision over those that some
    have. A label that no example has and no prediction gives counts as F1 0, as in scikit-learn.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    held, predicted = labels_NC > 0.5, probabilities_NC > 0.5
    hits_C, either_C = (held & predicted).sum(0), held.sum(0) + predicted.sum(0)
    columns = list(zip(held.T, probabilities_NC.T, strict=True))
    aucs = [roc_auc_score(held_N, p_N) for held_N, p_N in columns if 0 < held_N.sum() < len(held_N)]
    precisions = [average_precision_score(held_N, p_N) for held_N, p_N in columns if held_N.any()]
    return {
        "macro_f1": float((2 * hits_C / np.maximum(either_C, 1)).mean()),
        "micro_f1": float(2 * hits_C.sum() / max(either_C.sum(), 1)),
        "auc": _mean(aucs),
        "average_precision": _mean(precisions),
    }


def quantity_metrics(targets_NC: np.ndarray, predicted_NC: np.ndarray) -> Metrics:
    """Pearson's and Spearman's correlation, R2 and mean squared error, each the mean over the quantities.

    A correlation with a constant, and R2 of constant targets, is undefined: such a quantity is left out of the mean.
    """
    from scipy.stats import rankdata

    columns = list(zip(targets_NC.T.astype(np.float64), predicted_NC.T.astype(np.float64), strict=True))
    return {
        "pearson": _mean([_pearson(t_N, p_N) for t_N, p_N in columns]),
        "spearman": _mean([_pearson(rankdata(t_N), rankdata(p_N)) for t_N, p_N in columns]),
        "r2": _mean([_r2(t_N, p_N) for t_N, p_N in columns]),
        "mse": _mean([float(((p_N - t_N) ** 2).mean()) for t_N, p_N in columns]),
    }


def _pearson(a_N: np.ndarray, b_N: np.ndarray) -> float:
    if not (np.ptp(a_N) and np.ptp(b_N)):  # a mean need not be the constant exactly
        return float("nan")
    a_N, b_N = a_N - a_N.mean(), b_N - b_N.mean()
    size = np.sqrt((a_N**2).sum() * (b_N**2).sum())
    return float((a_N * b_N).sum() / size) if size > 0 else float("nan")


def _r2(targets_N: np.ndarray, predicted_N: np.ndarray) -> float:
    if not np.ptp(targets_N):
        return float("nan")
    total = ((targets_N - targets_N.mean()) ** 2).sum()
    return float(1 - ((targets_N - predicted_N) ** 2).sum() / total) if total > 0 else float("nan")


def _mean(values: list[float]) -> float:
    """The mean of those that are defined, NaN if none is."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
