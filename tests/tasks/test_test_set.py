"""Metrics of the test set: leaked rows counted and left out, collapse noticed."""

from __future__ import annotations

import numpy as np
import pytest

from cmgems.data import LabelledSet
from cmgems.tasks.tasks import Classification, TokenClassification
from cmgems.tasks.test_set import collapse_warning, summarise_test


def labelled(rows, labels):
    return LabelledSet([np.array(row, np.int32) for row in rows], labels, ("0", "1"))


TRAIN = labelled([[2, 5, 3], [2, 6, 3]], np.array([0, 1]))


def test_clean_scores_leave_the_leaked_rows_out():
    # Rows 0 and 3 stand in train and are right; of the others one of two is.
    test = labelled([[2, 5, 3], [2, 7, 3], [2, 8, 3], [2, 6, 3]], np.array([0, 0, 1, 1]))
    predictions = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    report = summarise_test(Classification(), TRAIN, test, predictions)
    assert report["test_sequences"] == 4
    assert report["test_sequences_in_train"] == 2
    assert report["test_accuracy"] == 0.75
    assert report["clean_test_accuracy"] == 0.5
    assert report["clean_test_mcc"] == 0
    assert report["clean_test_auc"] == 1
    assert report["classes_predicted"] == 2
    assert collapse_warning(report) is None


@pytest.mark.parametrize("rows", [[[2, 7, 3], [2, 8, 3]], [[2, 5, 3], [2, 6, 3]]])
def test_without_leaks_or_without_anything_else_there_are_no_clean_scores(rows):
    test = labelled(rows, np.array([0, 1]))
    report = summarise_test(Classification(), TRAIN, test, np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert not any(name.startswith("clean") for name in report)


def test_novel_scores_leave_copies_and_twins_out():
    train, dev, test = (
        LabelledSet([np.array([2, 5, 3])] * len(bases), np.array(labels), ("0", "1"), bases=bases)
        for bases, labels in (
            (("ACGTTGCAAC", "ACCAGATTTT"), [0, 1]),
            (("GGGGGTGGGG",), [0]),
            (("GTTGCAACGT", "AGACCATTTT", "GGGGGAGGGG", "CATCATCATC", "TTGTCCGTAA"), [0, 1, 0, 1, 0]),
        )
    )
    predictions = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    report = summarise_test(Classification(), train, test, predictions, dev)
    assert (report["test_sequences_novel"], report["test_sequences_in_train"]) == (2, 0)
    assert (report["test_accuracy"], report["novel_test_accuracy"]) == (0.8, 0.5)
    assert "clean_test_mcc" not in report
    without_dev = summarise_test(Classification(), train, test, predictions)
    assert without_dev["test_sequences_novel"] == 3


def test_collapse_is_noticed():
    test = labelled([[2, 7, 3], [2, 8, 3]], np.array([0, 1]))
    report = summarise_test(Classification(), TRAIN, test, np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert report["classes_predicted"] == 1
    assert report["test_mcc"] == 0
    assert "all 2 test sequences get the same class" in collapse_warning(report)


def test_tokens_of_leaked_rows_are_left_out():
    ignore = -100
    train = labelled([[2, 5, 3]], [np.array([ignore, 0, ignore])])
    rows = [[2, 5, 3], [2, 7, 8, 3]]
    test = labelled(rows, [np.array([ignore, 0, ignore]), np.array([ignore, 1, 0, ignore])])
    right, wrong = [0.9, 0.1], [0.1, 0.9]
    predictions = np.array([right, wrong, right, right, right, right, right])
    report = summarise_test(TokenClassification(), train, test, predictions)
    assert report["test_sequences_in_train"] == 1
    assert report["test_accuracy"] == pytest.approx(1 / 3)
    assert report["clean_test_accuracy"] == 0.5
    assert "classes_predicted" not in report
