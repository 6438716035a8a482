from __future__ import annotations

import math

import numpy as np
import pytest

from cmgems.training import TASKS

TASK = TASKS.get("classification")


def test_scores_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 1])
    right = np.array([0.9, 0.8, 0.3, 0.2, 0.4, 0.1])  # probability of class 0
    scores = TASK.scores(labels, np.stack([right, 1 - right], 1))
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert scores["mcc"] == pytest.approx((2 * 3 - 1 * 0) / math.sqrt(2 * 3 * 3 * 4))
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 6 / 7) / 2)
    assert scores["auc"] == pytest.approx(8 / 9)


def test_one_class_predicted_is_mcc_zero():
    scores = TASK.scores(np.array([0, 1, 0, 1]), np.array([[0.9, 0.1]] * 4))
    assert scores["mcc"] == 0
    assert scores["auc"] == 0.5


def test_three_classes():
    probabilities = np.float32([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    scores = TASK.scores(np.array([0, 1, 2]), probabilities)
    assert scores == {"accuracy": 1.0, "macro_f1": 1.0, "mcc": 1.0, "auc": 1.0}


def test_auc_of_a_missing_class_is_not_invented():
    assert math.isnan(TASK.scores(np.array([1, 1]), np.array([[0.2, 0.8]] * 2))["auc"])
