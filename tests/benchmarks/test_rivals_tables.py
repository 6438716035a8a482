"""How soon one curve of probes gets as far as another, and the scores of novel rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cmgems.evaluation.comparison import Comparison, FineTuned
from cmgems.evaluation.results import Record


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    import rivals_tables

    return rivals_tables


def curve(benchmark, *scores_SN):
    return benchmark.Curve(100 * np.arange(len(scores_SN)), np.array(scores_SN, dtype=float))


@pytest.mark.parametrize(("goal", "step"), [(10, 0), (15, 50), (20, 100), (25, 150), (31, math.inf)], ids=str)
def test_a_curve_reaches_a_goal_on_straight_lines(benchmark, goal, step):
    found = curve(benchmark, [10, 12], [20, 18], [30, 40])
    assert found.reaches(goal, np.array([0])) == step


def test_a_curve_that_falls_again_has_reached_it(benchmark):
    assert curve(benchmark, [0], [20], [10]).reaches(15, np.array([0])) == 75


def test_times_are_those_of_the_mean_over_seeds(benchmark):
    baseline = curve(benchmark, [0, 0], [10, 20], [20, 40])
    curves = {"random_span": baseline, "sooner": curve(benchmark, [0, 0], [20, 40], [20, 40])}
    curves["never"] = curve(benchmark, [0, 0], [1, 1], [2, 2])
    lines = benchmark.time_table(curves, "random_span").splitlines()
    ends = [line.split(" | ")[-2:] for line in lines[2:]]
    assert ends == [["1.00", "1.00 to 1.00 |"], ["0.50", "0.50 to 0.50 |"], ["more", "more to more |"]]
    assert lines[0] == "| strategy | 0 | 100 | 200 | time | 95 % |"
    assert "| 30.0 ± 14.1 |" in lines[2]


def test_a_step_that_a_strategy_lacks_is_left_empty(benchmark):
    found = {"random_span": curve(benchmark, [0, 0], [10, 20], [20, 40])}
    found["stopped"] = benchmark.Curve(np.array([0, 200]), np.array([[0.0, 0.0], [20.0, 40.0]]))
    line = benchmark.time_table(found, "random_span").splitlines()[3]
    assert line == "| `stopped` | 0.0 ± 0.0 |  | 30.0 ± 14.1 | 1.00 | 1.00 to 1.00 |"


def probed(strategy, seed, dataset, novel, rows):
    summary = {"test_sequences": 1000, "test_sequences_novel": rows, "test_mcc": 0, "novel_test_mcc": novel}
    return FineTuned(strategy, seed, Record(dataset, None, None, seed, "mcc", summary))


def test_sets_with_few_novel_rows_are_shown_and_not_compared(benchmark):
    runs = [probed(name, 0, "many", novel, 900) for name, novel in (("a", 0.5), ("b", 0.6))]
    runs += [probed(name, 0, "few", novel, 24) for name, novel in (("a", 0.9), ("b", 0.1))]
    lines = benchmark.novel_table(Comparison(Path(), ("a", "b"), "a", finetuned=tuple(runs))).splitlines()
    assert lines[0] == "| strategy | many (900 rows) | few (24 rows) | less `a` | pairs better |"
    assert lines[2].startswith("| `a` | 50.0 ± ")
    assert "| +10.0 [" in lines[3]
    assert lines[3].endswith("| 1 of 1 |")
