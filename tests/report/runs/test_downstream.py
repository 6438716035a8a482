"""Scores of fine-tuning runs, and the tables of evaluations."""

from __future__ import annotations

import re
from pathlib import Path

from cmgems.evaluation.table import markdown_table
from cmgems.report.runs.downstream import evaluation_section, finetuning_section, markdown_html
from cmgems.report.runs.logged import LoggedRun, find_runs


def test_markdown():
    html = markdown_html(
        "# Title\n\nSome *text*, **bold** and `code` <i>\n\n![picture](x.png)\n\n"
        "| a | b |\n| --- | :-: |\n| 1 | 2 ± 0.1 |\n|x|–|\n\n- one\n- **two**\n",
        "label",
    )
    assert "<h3>Title</h3>" in html
    assert "<strong>bold</strong> and <code>code</code> &lt;i&gt;" in html
    assert "x.png" not in html
    cells = re.findall(r"<t[hd](?: [^>]*)?>([^<]*)<", html)
    assert cells == ["a", "b", "1", "2 ± 0.1", "x", "–"]
    assert "<li>one</li><li><strong>two</strong></li>" in html


def test_marks_of_markdown_in_a_name_stay_in_the_text():
    text = markdown_table(["a", "b"], [["x|y", "`c|d`"]])
    html = markdown_html(text, "bt`x`")
    assert 'aria-label="bt`x`, table"' in html
    assert re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t", html) == ["a", "b", "x|y", "<code>c|d</code>"]


def test_an_evaluation_is_named_by_its_folder(tmp_path):
    (tmp_path / "gue").mkdir()
    (tmp_path / "gue" / "table.md").write_text("caption\n")
    html = evaluation_section(tmp_path / "gue" / "table.md", "e")
    assert "Evaluation: gue</h2><p>caption</p>" in html


def test_one_run_has_its_scores_in_one_chart(finetuned):
    html = finetuning_section(find_runs([finetuned]).runs, "f")
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
    html = finetuning_section([run("a", 0), run("b", 1, finished=False)], "f")
    assert re.findall(r'<figure id="([^"]+)"', html) == ["f-loss", "f-dev-mcc"]
    assert "No test scores yet: b has not finished." in html
    assert "examples a class" in html
    many = finetuning_section([run(f"r{i}", i, dev=False) for i in range(10)], "f")
    assert "The curves show the first 8 of 10 runs." in many
    assert "no run has a dev set" in many
    assert many.count('<th scope="row">r') == 10
