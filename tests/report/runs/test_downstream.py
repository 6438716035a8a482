"""Scores of fine-tuning runs, and the tables of evaluations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cmgems.errors import DataError
from cmgems.evaluation.results import Record, Results
from cmgems.evaluation.table import write
from cmgems.report.render import part_html
from cmgems.report.runs.downstream import evaluation_section, finetuning_section
from cmgems.report.runs.logged import LoggedRun, find_runs


def test_an_evaluation_is_named_by_its_folder_and_shows_its_results(tmp_path):
    summary = {"test_mcc": 0.5, "test_accuracy": 0.75, "test_sequences": 8, "test_sequences_in_train": 0}
    record = Record("a|<b>", None, None, 0, "mcc", summary)
    write(Results("runs/logo", records=(record,), skipped={"bad": "one class only"}), tmp_path / "gue")
    html = part_html(evaluation_section(tmp_path / "gue", "e"))
    assert "Evaluation: gue</h2>" in html
    assert "runs/logo: test scores in percent" in html
    assert '<th scope="row">a|&lt;b&gt;</th>' in html
    assert "<td>50.0</td>" in html
    assert "<li>skipped 1/1: bad: one class only</li>" in html


def test_results_that_cannot_be_read(tmp_path):
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError, match=r"results\.json"):
        evaluation_section(tmp_path, "e")


@pytest.mark.slow
def test_one_run_has_its_scores_in_one_chart(finetuned):
    html = part_html(finetuning_section(find_runs([finetuned]).runs, "f"))
    assert re.findall(r'<figure id="([^"]+)"', html) == ["f-loss", "f-dev"]
    headings = re.findall(r'<th scope="col"[^>]*>([^<]*)<', html)
    assert headings[:2] == ["run", "test accuracy"]
    assert headings.index("test AUC") < headings.index("test sequences") < headings.index("seed")
    assert "logo" in html
    assert "note" not in html


def run(name: str, seed: int, *, finished=True, dev=True) -> LoggedRun:
    records = [{"step": 1, "loss": 1.0}, *([{"step": 2, "dev_mcc": 0.1 * seed}] if dev else [])]
    summary = {"test_mcc": 0.5, "best_epoch": 1} if finished else {}
    return LoggedRun(Path(name), name, {"seed": seed, "data": {"shots": 10}}, records, summary)


def test_several_runs_are_compared():
    html = part_html(finetuning_section([run("a", 0), run("b", 1, finished=False)], "f"))
    assert re.findall(r'<figure id="([^"]+)"', html) == ["f-loss", "f-dev-mcc"]
    assert "No test scores yet: b has not finished." in html
    assert "examples a class" in html
    many = part_html(finetuning_section([run(f"r{i}", i, dev=False) for i in range(10)], "f"))
    assert "The curves show the first 8 of 10 runs." in many
    assert "no run has a dev set" in many
    assert many.count('<th scope="row">r') == 10


def test_a_copied_recipe_may_report_other_figures():
    copied = LoggedRun(
        Path("c"), "c", {}, [{"step": 1, "loss": 1.0}], {"my own <figure>": "a text", "test_mcc": None}
    )
    html = part_html(finetuning_section([run("a", 0), copied], "f"))
    assert "my own &lt;figure&gt;" in html
    assert "a text" in html
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)<', html)[:2] == ["run", "test MCC"]
