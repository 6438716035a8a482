"""Predictions as rows of a table."""

import csv

import numpy as np
import pytest

from cmgems.inference import Prediction, write_predictions

LABELS = ("a", "b")


def rows(path):
    return list(csv.reader(path.open()))


@pytest.mark.parametrize(
    ("head", "labels", "values", "columns", "cells"),
    [
        ("classification", ("b",), [0.25, 0.75], "name label p_a p_b", ["s", "b", "0.250000", "0.750000"]),
        ("multi_label", LABELS, [0.75, 0.625], "name labels p_a p_b", ["s", "a;b", "0.750000", "0.625000"]),
        ("multi_label", (), [0.5, 0.25], "name labels p_a p_b", ["s", "", "0.500000", "0.250000"]),
        ("regression", (), [1234567, -1.5e-7], "name a b", ["s", "1234567", "-1.5e-07"]),
    ],
)
def test_a_row_a_sequence(tmp_path, head, labels, values, columns, cells):
    found = Prediction("s", "ACNT", labels, np.float32(values))
    assert write_predictions(tmp_path / "p.csv", [found, found], head, LABELS) == 2
    assert rows(tmp_path / "p.csv") == [columns.split(), cells, cells]


def test_a_row_a_base(tmp_path):
    p_LC = np.float32([[0.75, 0.25], [0.25, 0.75], [np.nan, np.nan], [0, 1]])
    found = Prediction("s", "ACNT", ("a", "b", "", "b"), p_LC)
    assert write_predictions(tmp_path / "p.csv", [found], "token_classification", LABELS) == 1
    columns, *cells = rows(tmp_path / "p.csv")
    written = [dict(zip(columns, row, strict=True)) for row in cells]
    assert [(r["name"], r["position"], r["base"], r["label"]) for r in written] == [
        ("s", "1", "A", "a"),
        ("s", "2", "C", "b"),
        ("s", "3", "N", ""),
        ("s", "4", "T", "b"),
    ]
    assert [r["p_b"] for r in written] == ["0.250000", "0.750000", "", "1.000000"]
