"""``cmgems report``: what a user sees."""

from __future__ import annotations

import json

import pytest

from cmgems.cli.main import run


@pytest.fixture
def cmgems(capsys):
    """Runs one command: exit code, stdout, stderr."""

    def call(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def folder(tmp_path):
    """A fine-tuning run that is still going."""
    folder = tmp_path / "runs" / "ft"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("recipe: finetune\n")
    records = [{"step": step, "loss": 1 / step} for step in (1, 2)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records) + '{"step"')
    return folder


def test_a_page_about_a_run(cmgems, folder, tmp_path):
    page = tmp_path / "new" / "report.html"
    code, out, err = cmgems("report", folder.parent, "-o", page)
    assert (code, err) == (0, "")
    assert out == f"{page}: 1 fine-tuning, 0.0 MB\n"
    text = page.read_text()
    assert "<h1>Report of runs</h1>" in text
    assert "ft has not finished" in text
    assert text.count("<figure") == 1


def test_mistakes_are_one_line(cmgems, folder, tmp_path):
    page = tmp_path / "report.html"
    (tmp_path / "empty").mkdir()
    for path, error in (("nowhere", "no such folder"), ("empty", "no metrics.jsonl or config.yaml there")):
        code, out, err = cmgems("report", tmp_path / path, "-o", page)
        assert (code, out) == (2, "")
        assert error in err
        assert err.count("\n") == 1
    (folder / "metrics.jsonl").write_text("")
    code, out, err = cmgems("report", folder, "-o", page)
    assert (code, out) == (2, "")
    assert err.startswith("error: no records yet in ")
    assert err.count("\n") == 1
    assert not page.exists()
    code, _, err = cmgems("report")
    assert code == 2
    assert "Missing argument" in err
