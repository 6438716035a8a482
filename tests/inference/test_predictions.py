"""Predictions as cells of a table."""

import numpy as np
import pytest

from cmgems.genome import encode
from cmgems.inference import NamedSequence, base_cells, column_names, sequence_cells

SEQUENCE = NamedSequence("s", encode(b"ACNT"), "s")
LABELS = ["a", "b"]


@pytest.mark.parametrize(
    ("head", "values", "columns", "cells"),
    [
        ("classification", [0.25, 0.75], "name label p_a p_b", ["s", "b", "0.250000", "0.750000"]),
        ("multi_label", [0.75, 0.625], "name labels p_a p_b", ["s", "a;b", "0.750000", "0.625000"]),
        ("multi_label", [0.5, 0.25], "name labels p_a p_b", ["s", "", "0.500000", "0.250000"]),
        ("regression", [1234567, -1.5e-7], "name a b", ["s", "1234567", "-1.5e-07"]),
    ],
)
def test_a_row_a_sequence(head, values, columns, cells):
    assert column_names(head, LABELS) == columns.split()
    assert sequence_cells(SEQUENCE, head, LABELS, np.float32(values)) == cells


def test_a_row_a_base():
    columns = column_names("token_classification", LABELS)
    p_LC = np.float32([[0.75, 0.25], [0.25, 0.75], [np.nan, np.nan], [0, 1]])
    rows = [dict(zip(columns, row, strict=True)) for row in base_cells(SEQUENCE, LABELS, p_LC)]
    assert [(r["name"], r["position"], r["base"], r["label"]) for r in rows] == [
        ("s", "1", "A", "a"),
        ("s", "2", "C", "b"),
        ("s", "3", "N", ""),
        ("s", "4", "T", "b"),
    ]
    assert [r["p_b"] for r in rows] == ["0.250000", "0.750000", "", "1.000000"]
