"""The table of an evaluation: means and deviations by hand, leaks, collapse, published columns."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from cmgems.errors import DataError
from cmgems.evaluation.results import Record, Results, read_results
from cmgems.evaluation.table import (
    as_csv,
    markdown,
    published_table,
    score_table,
    show,
    write,
    yardstick_table,
)
from cmgems.yardsticks import Baseline, Baselines


def record(dataset, seed, mcc, *, shots=None, clean=None, classes=2, leaked=0, cut=0):
    """A run whose scores all are ``mcc``."""
    summary = {"test_sequences": 50, "test_sequences_in_train": leaked, "classes_predicted": classes}
    summary |= {"sequences_cut": cut, **{f"test_{m}": mcc for m in ("mcc", "macro_f1", "accuracy", "auc")}}
    if clean is not None:
        summary |= {f"clean_test_{m}": clean for m in ("mcc", "macro_f1", "accuracy", "auc")}
    return Record(dataset, shots, None, seed, "mcc", summary)


@pytest.fixture
def results():
    records = (
        record("tf/0", 0, 0.6, leaked=3, clean=0.5),
        record("tf/0", 1, 0.7, leaked=3, clean=0.6),
        record("tf/0", 2, 0.8, leaked=3, clean=0.4),
        record("tf/1", 0, 0.0, classes=1, cut=4),
    )
    skipped = {"tf/2": "no test file in tf/2"}
    return Results("runs/x", gue=True, absent=("virus/covid",), skipped=skipped, records=records)


def test_mean_and_deviation(results):
    tf0, tf1 = results.lines()
    assert (tf0.score("mcc").mean, tf0.score("mcc").sd) == pytest.approx((70, 10))
    assert (tf0.score("mcc", "clean").mean, tf0.score("mcc", "clean").sd) == pytest.approx((50, 10))
    assert tf1.score("mcc").count == 1
    assert (tf0.collapsed, tf1.collapsed) == (0, 1)


def test_rows(results):
    header, rows = score_table(results)
    assert header == [
        "dataset",
        "runs",
        "MCC",
        "macro-F1",
        "accuracy",
        "AUC",
        "leaks",
        "clean",
        "remarks",
    ]
    assert rows == [
        ["tf/0", "3", *["70.0 ± 10.0"] * 4, "3", "50.0 ± 10.0", ""],
        ["tf/1", "1", *["0.0"] * 4, "0", "", "collapsed in 1 of 1, 4 sequences cut"],
    ]


def test_leaks_are_excluded_when_asked(results):
    header, rows = score_table(replace(results, exclude_leaks=True))
    assert "clean" not in header
    assert rows[0][2] == "50.0 ± 10.0"
    assert rows[1][2] == "0.0"


def test_where_every_row_leaks_nothing_is_clean():
    results = Results("x", exclude_leaks=True, records=(record("a", 0, 0.9, leaked=50),))
    assert score_table(results)[1][0][2] == "–"


def test_undefined_scores_are_left_out():
    results = Results("x", records=(record("a", 0, None), record("a", 1, 0.5)))
    assert score_table(results)[1][0][2] == "50.0"


def test_published_columns_are_those_of_the_same_sets(results):
    header, rows = published_table(results)
    assert header[:4] == ["dataset", "metric", "this model", "DNABERT-3mer"]
    assert [row[0] for row in rows] == ["tf/0", "tf/1", "average (2 of 28)"]
    column = header.index("DNABERT-2")
    assert [row[column] for row in rows] == ["72.0", "76.1", "74.0"]  # 71.99, 76.06
    assert rows[2][2] == "35.0"


def test_published_figures_stand_beside_the_same_metric(results):
    """Whatever chose the epoch."""
    changed = []
    for one in results.records:
        scores = {key: 0.9 if key == "test_accuracy" else value for key, value in one.summary.items()}
        changed.append(replace(one, metric="accuracy", summary=scores))
    assert published_table(replace(results, records=tuple(changed))) == published_table(results)


def test_the_mean_squared_error_is_in_no_percent():
    summary = {"test_pearson": 0.5, "test_mse": 9.0}
    results = Results("x", records=(Record("a", None, None, 0, "mse", summary),))
    (line,) = results.lines()
    assert (line.metric, line.score(line.metric).mean) == ("pearson", 50)


def test_other_sets_and_few_shot_have_no_published_columns():
    assert published_table(Results("x", records=(record("tf/0", 0, 0.5),))) == ([], [])
    assert published_table(Results("x", gue=True, records=(record("tf/0", 0, 0.5, shots=10),))) == ([], [])


def test_shots_have_lines_of_their_own():
    results = Results("x", records=(record("a", 0, 0.5, shots=10), record("a", 0, 0.7, shots=100)))
    header, rows = score_table(results)
    assert header[1] == "shots"
    assert [row[1:4] for row in rows] == [["10", "1", "50.0"], ["100", "1", "70.0"]]


def test_markdown_names_what_was_skipped(results):
    text = markdown(results)
    assert "| tf/0 | 3 | 70.0 ± 10.0 |" in text
    assert "- skipped 1/1: tf/2: no test file in tf/2\n- not found, 1: virus/covid\n" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {10, 14}


def test_csv_holds_every_figure(results):
    assert len({len(row) for row in csv.reader(io.StringIO(as_csv(results)))}) == 1
    rows = list(csv.DictReader(io.StringIO(as_csv(results))))
    assert [row["dataset"] for row in rows] == ["tf/0", "tf/1", "tf/2"]
    assert (rows[0]["mcc"], rows[0]["mcc sd"], rows[0]["clean auc"]) == ("70.0000", "10.0000", "50.0000")
    assert (rows[1]["mcc sd"], rows[1]["collapsed runs"], rows[1]["DNABERT-2"]) == ("", "1", "76.0600")
    assert (rows[2]["runs"], rows[2]["skipped"]) == ("", "no test file in tf/2")


def test_files(results, tmp_path):
    write(results, tmp_path)
    assert (tmp_path / "table.md").read_text() == markdown(results)
    assert (tmp_path / "table.csv").read_text() == as_csv(results)
    assert read_results(tmp_path) == results
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["records"][0]["summary"] == results.records[0].summary
    assert found["skipped"] == {"tf/2": "no test file in tf/2"}
    assert found["absent"] == ["virus/covid"]


def beside(seed, draw=None, shots=None, family="k-mer counts", mcc=0.5):
    """A run beside a baseline; 8 of its 50 test rows are novel."""
    scores = {"all": {"mcc": mcc}, "clean": {"mcc": mcc - 0.1}, "novel": {"mcc": mcc - 0.2}}
    one = replace(record("a", seed, 0.6 + seed / 10, shots=shots), draw=draw)
    summary = {**one.summary, "test_sequences_novel": 8, "novel_test_mcc": 0.1}
    families = (Baseline(family, "k = 2", 0.7, scores), Baseline("twins", "same", 0.6, {"all": {"mcc": 1}}))
    return replace(one, summary=summary, baselines=Baselines("mcc", "dev", 10, families))


def test_scores_stand_beside_the_best_baseline():
    results = Results("x", records=(beside(0), beside(1), record("b", 0, 0.5)))
    header, rows = yardstick_table(results)
    assert rows == [
        ["a", "65.0 ± 7.1", "50.0", "8", "10.0 ± 0.0", "30.0", "MCC", "k-mer counts, k = 2"],
        ["b", "50.0", "–", "–", "–", "–", "MCC", ""],
    ]
    assert len(header) == len(rows[0])
    assert "on novel rows" not in rows[0][-1]
    clean = yardstick_table(replace(results, exclude_leaks=True))[1][0]
    assert (clean[2], clean[5]) == ("40.0", "30.0")


def test_novel_rows_have_no_twins_and_another_baseline():
    scores = {"all": {"mcc": 0.9}, "novel": {"mcc": 0.0}}
    run = beside(0)
    families = (*run.baselines.families[:1], Baseline("twins", "same", 0.8, scores))
    run = replace(run, baselines=replace(run.baselines, families=families))
    row = yardstick_table(Results("x", records=(run,)))[1][0]
    assert (row[2], row[5]) == ("90.0", "30.0")
    assert row[7] == "twins, same; on novel rows: k-mer counts, k = 2"


def test_each_few_shot_draw_has_one_baseline_whatever_the_seeds():
    draws = [(0, 0, 0.2), (1, 0, 0.2), (0, 1, 0.4), (1, 1, 0.4)]
    records = [beside(seed, draw, 5, "ab"[draw], mcc) for seed, draw, mcc in draws]
    ((name, shots, _, baseline, *_, which),) = yardstick_table(Results("x", records=tuple(records)))[1]
    assert (name, shots, baseline, which) == ("a", "5", "30.0 ± 14.1", "a; b")


def test_without_audits_there_is_no_table_of_yardsticks(results):
    assert yardstick_table(results) == ([], [])
    assert "best baseline" not in markdown(results)


def test_baselines_are_written_and_read(tmp_path):
    results = Results("x", records=(beside(0),))
    write(results, tmp_path)
    assert read_results(tmp_path).records[0].baselines == results.records[0].baselines


def test_nan_is_null_in_the_file(tmp_path):
    results = Results("x", records=(record("a", 0, math.nan),))
    write(results, tmp_path)
    assert "NaN" not in (tmp_path / "results.json").read_text()
    (found,) = read_results(tmp_path).records
    assert found.summary["test_mcc"] is None
    assert math.isnan(found.score("mcc"))


@pytest.mark.parametrize(
    "text", [None, "[", "[1]", "{}", '{"model": "x", "records": [{"a": 1}], "absent": []}']
)
def test_a_damaged_file_is_named(tmp_path, text):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match=r"results\.json"):
        read_results(tmp_path)


def test_metrics_of_other_tasks_have_columns():
    summary = {"test_pearson": 0.5, "test_mse": 9.0}
    results = Results("x", records=(Record("a", None, None, 0, "pearson", summary),))
    header, rows = score_table(results)
    assert header[1:4] == ["runs", "Pearson's r", "leaks"]
    assert rows[0][2] == "50.0"


def test_a_terminal_of_80_columns_is_wide_enough(results, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    name = "prom/prom_core_notata"
    records = [record(name, n, 0.5 + n / 10, leaked=30, clean=0.5 + n / 10, classes=1) for n in range(2)]
    show(replace(results, records=tuple(records)))
    text = capsys.readouterr().out
    assert "…" not in text
    assert "prom/prom_core_notata 2    55.0±7.1" in text
    assert "prom/prom_core_notata: collapsed in 2 of 2\n" in text
    summary = {"test_sequences_novel": 5000}
    records = [
        replace(one, shots=10, baselines=beside(0).baselines, summary=one.summary | summary)
        for one in records
    ]
    records[0].summary["test_sequences_novel"] = 4900
    show(replace(results, records=tuple(records)))
    text = capsys.readouterr().out
    assert "prom/prom_core_notata 10    55.0±7.1 50.0±0.0 4900 to 5000 " in text
