"""The report of a comparison, as Markdown and as a section of a page."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from cmgems.evaluation.comparison import Comparison, FineTuned, Pretraining, read_comparison, write_figures
from cmgems.evaluation.results import Record
from cmgems.report.comparison import write_comparison
from cmgems.report.render import part_html
from cmgems.report.runs.downstream import evaluation_section


def pretraining(strategy: str, seed: int, better: float) -> Pretraining:
    curve = ((5, 2.0), (10, 1.5 + 0.1 * seed - better))
    return Pretraining(strategy, seed, curve, 0.15, 10 if better else None, tokens=1e6, seconds=60)


def finetuned(strategy: str, seed: int, better: float) -> FineTuned:
    summary = {"test_mcc": 0.5 + 0.01 * seed + better}
    return FineTuned(strategy, seed, Record("ds|x", None, None, seed, "mcc", summary))


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """`hard` is better than `easy` with every seed; a copied recipe reports nothing of `own|key`."""
    runs = [("easy", seed, 0.0) for seed in range(3)] + [("hard", seed, 0.2) for seed in range(3)]
    silent = Pretraining("own|key", 0, (), math.nan, None, math.nan, math.nan)
    return Comparison(
        tmp_path, ("easy", "hard", "own|key"), "easy", False,
        (*(pretraining(*run) for run in runs), silent), tuple(finetuned(*run) for run in runs), {"bad": "one class"},
    )  # fmt: skip


def test_markdown(comparison):
    text = write_comparison(comparison, "easy", comparison.skipped).read_text()
    lines = text.splitlines()
    assert lines[0] == "# Masking strategies compared"
    assert "![Validation loss of every strategy](curves.png)" in lines
    assert (comparison.out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [line for line in lines if line.startswith("## ")] == ["## Pretraining", "## Test MCC"]
    assert "| `easy` | 3 | 15.0 % | - | 1.0 M | 1.0 | 1.600 ± 0.100 |  |" in lines
    hard = (
        "| `hard` | 3 | 15.0 % | 10 / 10 / 10 | 1.0 M | 1.0 | 1.400 ± 0.100 | **-0.200 [-0.200, -0.200]** |"
    )
    assert hard in lines
    assert r"| strategy | ds\|x |" in lines
    assert "| `hard` | **+0.200 [+0.200, +0.200]** | **+0.200 [+0.200, +0.200]** | 3 of 3 |" in lines
    assert lines[-1] == "- skipped 1/1: bad: one class"
    assert "\n\n\n" not in text


def test_what_a_copied_recipe_does_not_report_is_empty(comparison):
    text = write_comparison(comparison, "easy").read_text()
    assert r"| `own\|key` | 1 |  | - |  |  |  |  |" in text.splitlines()
    assert "nan" not in text


BASELINES = {
    "unigram": {"loss": 1.55, "accuracy": 0.1},
    "markov_1": None,
    "neighbours": {"loss": 0.5, "accuracy": 0.6},
}


def test_strategies_stand_beside_guesses_without_a_model(comparison):
    runs = [
        dataclasses.replace(run, accuracy=0.2 + 0.01 * run.seed, baselines=BASELINES) if run.curve else run
        for run in comparison.pretrained
    ]
    recorded = dataclasses.replace(comparison, pretrained=tuple(runs))
    lines = write_comparison(recorded, "easy").read_text().splitlines()
    first = lines.index("| guesses under the fixed mask | loss (nats) | right |")
    assert lines[first + 2 : first + 7] == [
        "| frequencies of the tokens | 1.550 | 10.0 % |",
        "| reading off the overlapping tokens | 0.500 | 60.0 % |",
        "| Markov chain of order 1 | not applicable |  |",
        "| `easy` | 1.600 | 21.0 % |",
        "| `hard` | 1.400 | 21.0 % |",
    ]
    better = (
        "Better than the frequencies of the tokens; not yet as good as reading off the overlapping tokens."
    )
    assert f"- hard: {better}" in lines
    write_figures(recorded)
    read = read_comparison(recorded.out).pretrained
    assert [run.baselines for run in read] == [run.baselines for run in runs]
    assert read[0].health == runs[0].health


def test_a_comparison_of_an_earlier_version(comparison):
    write_figures(comparison)
    path = comparison.out / "comparison.json"
    values = json.loads(path.read_text())
    for run in values["pretrained"]:
        del run["accuracy"], run["baselines"]
    path.write_text(json.dumps(values))
    assert "guesses under" not in write_comparison(read_comparison(comparison.out), "easy").read_text()


def test_a_page_shows_the_same(comparison):
    write_figures(comparison)
    (comparison.out / "config.yaml").write_text("recipe: compare\n")
    html = part_html(evaluation_section(comparison.out, "e"))
    assert "Comparison of masking strategies: " in html
    assert '<h3 id="e-mcc">Test MCC</h3>' in html
    assert "<strong>+0.200 [+0.200, +0.200]</strong>" in html
    assert "<code>own|key</code>" in html
    assert "<li>skipped 1/1: bad: one class</li>" in html


def test_nothing_has_finished(tmp_path):
    text = write_comparison(Comparison(tmp_path, ("a", "b"), "a"), "a").read_text()
    assert text == "# Masking strategies compared\n\nNo run has finished yet.\n"
    assert not (tmp_path / "curves.png").exists()
