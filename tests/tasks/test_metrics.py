"""Metrics against scikit-learn and scipy, and where they are undefined."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from cmgems.tasks.metrics import class_metrics, label_metrics, quantity_metrics

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_quantities_against_the_libraries():
    targets_NC = RNG.normal(size=(50, 3)) * [1, 10, 100] + [0, 5, -3]
    targets_NC[:, 0] = targets_NC[:, 0].round()  # ties
    predicted_NC = (targets_NC + RNG.normal(size=(50, 3)) * [0.5, 20, 50]).astype(np.float32)
    scores = quantity_metrics(targets_NC, predicted_NC)
    pairs = list(zip(targets_NC.T, np.float64(predicted_NC.T), strict=True))
    assert scores == pytest.approx(
        {
            "pearson": np.mean([stats.pearsonr(t, p).statistic for t, p in pairs]),
            "spearman": np.mean([stats.spearmanr(t, p).statistic for t, p in pairs]),
            "r2": metrics.r2_score(targets_NC, predicted_NC),
            "mse": metrics.mean_squared_error(targets_NC, predicted_NC),
        }
    )


def test_quantities_by_hand():
    scores = quantity_metrics(np.array([[0.0], [1], [2]]), np.array([[0.0], [1], [5]]))
    # Deviations -1, 0, 1 and -2, -1, 3.
    assert scores == pytest.approx(
        {"pearson": 5 / math.sqrt(2 * 14), "spearman": 1, "r2": 1 - 9 / 2, "mse": 3}
    )


def test_a_correlation_with_a_constant_is_undefined():
    constant = quantity_metrics(np.array([[0.0], [1]]), np.ones((2, 1)))
    assert math.isnan(constant["pearson"])
    assert math.isnan(constant["spearman"])
    assert constant["r2"] == -1
    one_row = quantity_metrics(np.ones((1, 1)), np.ones((1, 1)))
    assert math.isnan(one_row["r2"])
    assert one_row["mse"] == 0


@pytest.mark.parametrize("rows", [3, 6, 20, 333])
def test_a_constant_whose_mean_is_rounded_is_one(rows):
    constant, rising = np.full((rows, 1), 0.1), np.arange(rows, dtype=float)[:, None]
    scores = quantity_metrics(constant, rising)
    assert math.isnan(scores["pearson"])
    assert math.isnan(scores["r2"])
    assert math.isnan(quantity_metrics(rising, constant)["pearson"])


def test_undefined_quantities_are_left_out_of_the_mean():
    targets_NC = np.array([[0.0, 7], [1, 7], [2, 7]])
    scores = quantity_metrics(targets_NC, np.array([[0.0, 1], [1, 2], [2, 3]]))
    assert (scores["pearson"], scores["r2"]) == pytest.approx((1, 1))


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_labels_against_scikit_learn(labels):
    held_NC = RNG.integers(0, 2, (60, labels)).astype(np.float64)
    p_NC = np.clip(0.3 * held_NC + RNG.uniform(0, 0.8, held_NC.shape), 0, 1).astype(np.float32)
    scores = label_metrics(held_NC, p_NC)
    predicted_NC = (p_NC > 0.5).astype(int)
    per_label = [metrics.f1_score(h, p) for h, p in zip(held_NC.T, predicted_NC.T, strict=True)]
    assert scores == pytest.approx(
        {
            "macro_f1": np.mean(per_label),
            "micro_f1": metrics.f1_score(held_NC.ravel(), predicted_NC.ravel()),
            "auc": np.mean([metrics.roc_auc_score(h, p) for h, p in zip(held_NC.T, p_NC.T, strict=True)]),
            "average_precision": np.mean(
                [metrics.average_precision_score(h, p) for h, p in zip(held_NC.T, p_NC.T, strict=True)]
            ),
        }
    )
    if labels > 1:  # scikit-learn takes a single column for one question with two classes
        for average in ("macro", "micro"):
            assert scores[f"{average}_f1"] == pytest.approx(
                metrics.f1_score(held_NC, predicted_NC, average=average)
            )


def test_labels_nobody_or_everybody_has():
    held_NC = np.array([[1.0, 0, 1], [0, 0, 1]])
    p_NC = np.array([[0.9, 0.1, 0.9], [0.1, 0.2, 0.2]])
    scores = label_metrics(held_NC, p_NC)
    assert scores["auc"] == 1  # of the first alone
    assert scores["average_precision"] == 1  # of the first and the third
    assert scores["macro_f1"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert scores["micro_f1"] == pytest.approx(4 / 5)
    nothing = label_metrics(held_NC[:, 1:2], p_NC[:, 1:2])
    assert (nothing["macro_f1"], nothing["micro_f1"]) == (0, 0)
    assert math.isnan(nothing["auc"])
    assert math.isnan(nothing["average_precision"])


def test_classes():
    scores = class_metrics(np.array([0, 1, 2, 2]), np.eye(3)[[0, 1, 2, 1]])
    assert scores["accuracy"] == 0.75
    assert scores["macro_f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_one_class_alone_is_mcc_0_without_a_warning():
    assert class_metrics(np.array([1, 1]), np.array([[0.1, 0.9], [0.2, 0.8]]))["mcc"] == 0
