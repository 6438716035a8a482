"""The folders of ``explain`` and ``motifs``; tests/cli/test_explain.py writes whole ones."""

import csv

import numpy as np

from cmgems.inference import ExplainedSequence
from cmgems.report.folders import write_explained


def explained(attention, importance):
    importance_L = None if importance is None else np.array(importance)
    return ExplainedSequence("s", "AN", "", np.array(attention), importance_L, "", 0.0, None)


def test_bases(tmp_path):
    sequences = [explained([0.5, 1.25], [-2.0, np.nan]), explained([np.nan, 1], None)]
    assert write_explained(tmp_path / "out", sequences, "a model") == (2, 4)
    assert list(csv.reader((tmp_path / "out" / "bases.csv").open())) == [
        ["name", "position", "base", "attention", "importance"],
        ["s", "1", "A", "0.5", "-2"],
        ["s", "2", "N", "1.25", ""],
        ["s", "1", "A", "", ""],
        ["s", "2", "N", "1", ""],
    ]
    assert "a model" in (tmp_path / "out" / "explain.html").read_text()
