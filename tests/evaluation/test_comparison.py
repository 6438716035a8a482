"""The figures of a comparison: read from runs, written and read again, paired."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from cmgems.errors import DataError
from cmgems.evaluation.comparison import (
    Comparison,
    FineTuned,
    Pretraining,
    Score,
    overall,
    read_comparison,
    read_pretraining,
    rows,
    write_figures,
)
from cmgems.evaluation.results import Record
from cmgems.files import write_json


def finished_pretraining(folder, losses, switch=None):
    folder.mkdir(parents=True)
    lines = ['{"step": 1, "loss": 5.0, "masked_share": 0.1}', '{"step": 2, "loss": 4.0, "masked_share": 0.2}']
    lines += [f'{{"step": {step}, "validation_loss": {nats}}}' for step, nats in losses]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    write_json(
        folder / "summary.json",
        {"switched_at": switch, "tokens": 1000, "tokens_per_second": 50.0},
    )


def test_reads_a_finished_pretraining_run(tmp_path):
    finished_pretraining(tmp_path / "run", [(10, 3.0), (20, 2.5)], switch=10)
    found = read_pretraining(tmp_path / "run", "cm_gems", 1)
    assert (found.loss, found.seconds, found.switched_at) == (2.5, 20.0, 10)
    assert found.masked_share == pytest.approx(0.15)
    assert read_pretraining(tmp_path, "cm_gems", 1) is None


def test_a_run_of_a_copied_recipe_may_report_less(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "my_loss": 5.0}\n')
    write_json(tmp_path / "summary.json", {"my_tokens": 1})
    found = read_pretraining(tmp_path, "cm_gems", 0)
    assert (found.curve, found.switched_at) == ((), None)
    assert all(math.isnan(value) for value in (found.loss, found.masked_share, found.tokens, found.seconds))


def fine_tuned(strategy, seed, metric="mcc", shots=None, **scores):
    summary = {f"test_{name}": value for name, value in scores.items()}
    return FineTuned(strategy, seed, Record("mine", shots, None, seed, metric, summary))


def compared(tmp_path):
    return Comparison(
        tmp_path,
        ("b", "a"),
        "a",
        pretrained=(
            Pretraining("a", 0, ((1, 2.0), (2, 1.5)), 0.1, 1, 100, 2.0),
            Pretraining("b", 0, (), math.nan, None, math.nan, math.nan),
        ),
        finetuned=(
            fine_tuned("a", 0, mcc=0.5, auc=math.nan),
            fine_tuned("b", 0, mcc=0.6, auc=0.7),
            fine_tuned("b", 0, "accuracy", shots=5, accuracy=0.8, mcc=0.1),
        ),
        skipped={"bad": "one class only"},
    )


def test_scores_are_the_defined_ones_of_the_metric_of_each_dataset(tmp_path):
    found = compared(tmp_path)
    assert [run.strategy for run in found.pretrainings()] == ["b", "a"]
    assert found.metrics() == ["mcc", "accuracy", "auc"]
    assert found.scores("mcc") == {"mine": [Score("a", 0, "seed0", 0.5), Score("b", 0, "seed0", 0.6)]}
    assert found.scores("accuracy") == {"mine, 5-shot": [Score("b", 0, "seed0", 0.8)]}
    assert found.scores("auc") == {"mine": [Score("b", 0, "seed0", 0.7)]}


def test_leaked_rows_are_left_out_when_asked(tmp_path):
    record = fine_tuned("a", 0, mcc=0.5).record
    leaky = replace(record, summary={**record.summary, "clean_test_mcc": 0.4, "test_sequences_in_train": 3})
    with_leaks = Comparison(tmp_path, ("a",), "a", finetuned=(FineTuned("a", 0, leaky),))
    assert with_leaks.scores("mcc")["mine"][0].value == 0.5
    assert replace(with_leaks, exclude_leaks=True).scores("mcc")["mine"][0].value == 0.4


def test_written_and_read_it_is_the_same(tmp_path):
    found = compared(tmp_path)
    write_figures(found)
    text = (tmp_path / "comparison.json").read_text()
    assert "NaN" not in text
    again = read_comparison(tmp_path)
    assert (again.strategies, again.baseline, again.skipped) == (
        found.strategies,
        found.baseline,
        found.skipped,
    )
    assert again.pretrained[0] == found.pretrained[0]
    assert math.isnan(again.pretrained[1].tokens)
    for metric in found.metrics():
        assert again.scores(metric) == found.scores(metric)
    write_figures(again)
    assert (tmp_path / "comparison.json").read_text() == text


@pytest.mark.parametrize("values", [{}, {"strategies": ["a"]}, []])
def test_a_damaged_file_is_named(tmp_path, values):
    (tmp_path / "comparison.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"comparison\.json"):
        read_comparison(tmp_path)


def test_rows_pair_runs_and_leave_out_those_without_a_partner():
    scores = [Score("a", seed, "", value) for seed, value in enumerate([0.1, 0.5, 0.9])]
    scores += [Score("b", seed, "", value) for seed, value in enumerate([0.2, 0.6])]
    first, second = rows(scores, ["a", "b", "absent"], "a")
    assert (first.strategy, first.difference) == ("a", None)
    assert second.values.mean == pytest.approx(0.4)
    assert second.difference.pairs == 2
    assert second.difference.mean == pytest.approx(0.1)


def test_draws_from_the_same_weights_are_one_pair():
    scores = [
        Score(strategy, seed, f"draw{draw}", 0.5 + (strategy == "b") * (0.1 * seed + 0.01 * draw))
        for strategy in ("a", "b") for seed in range(2) for draw in range(5)
    ]  # fmt: skip
    _, row = rows(scores, ["a", "b"], "a")
    assert (row.values.count, row.difference.pairs) == (10, 2)
    assert row.difference.mean == pytest.approx(0.07)
    assert row.difference.low == pytest.approx(0.02)


def test_over_all_datasets_a_pretraining_seed_counts_once():
    datasets = {
        "one": [Score(s, seed, "", 0.5 + gain) for s, gain in (("a", 0), ("b", 0.1)) for seed in range(3)],
        "two": [Score(s, seed, "", 0.7 + gain) for s, gain in (("a", 0), ("b", -0.02)) for seed in range(2)],
    }
    found = overall(datasets, "b", "a")
    assert found.difference.pairs == 3
    assert found.difference.mean == pytest.approx((0.04 + 0.04 + 0.1) / 3)
    assert (found.better, found.pairs) == (3, 5)
    assert overall(datasets, "absent", "a") is None


def test_over_all_datasets_a_dataset_counts_once_however_many_draws_it_has():
    datasets = {
        "whole": [Score("a", 0, "", 0.5), Score("b", 0, "", 0.9)],
        "few": [Score(s, 0, f"draw{n}", 0.3) for s in "ab" for n in range(10)],
    }
    found = overall(datasets, "b", "a")
    assert found.difference.mean == pytest.approx(0.2)
    assert (found.better, found.pairs) == (1, 11)
