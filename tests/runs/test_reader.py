"""What a run has left in its folder is read in one place."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cmgems.errors import CheckpointError
from cmgems.runs import RunReader
from cmgems.runs.summary import is_metric, label, metric_key


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.yaml").write_text("recipe: mine\noptim: {lr: 0.1}\nmodel: {name: logo, layers: 2}\n")
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"note": 1}\n{"step": 2}\n{"ste')
    return tmp_path


def test_a_run_that_still_goes_on(folder):
    run = RunReader(folder)
    assert (run.recipe, run.is_run, run.summary) == ("mine", True, None)
    assert [run.setting(key) for key in ("optim.lr", "model", "optim.lr.x", "no")] == [
        0.1,
        "logo",
        None,
        None,
    ]
    assert run.records == [{"step": 1, "loss": 2.0}, {"step": 2}]


def test_an_empty_folder_is_no_run(tmp_path):
    run = RunReader(tmp_path)
    assert (run.recipe, run.is_run, run.summary, run.config, run.records) == (None, False, None, {}, [])


@pytest.mark.parametrize(
    ("name", "content", "property_", "message"),
    [
        ("config.yaml", b"a: [", "config", "cannot read the run in .*config.yaml"),
        ("summary.json", b"{", "summary", "cannot read the run in .*summary.json"),
        ("summary.json", b"[]", "summary", "not a run in .*summary.json: the file holds no mapping"),
    ],
)
def test_a_damaged_file_is_named(folder, name, content, property_, message):
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        getattr(RunReader(folder), property_)


def test_a_summary_with_keys_of_ones_own(folder):
    (folder / "summary.json").write_text(json.dumps({"mine": 1, "test_mcc": 0.5}))
    summary = RunReader(folder).summary
    assert [label(key) for key in summary] == ["mine", "test MCC"]
    assert metric_key("mcc", "clean") == "clean_test_mcc"
    assert label("clean_test_macro_f1") == "clean test macro-F1"
    assert label("novel_test_mcc") == "novel test MCC"
    assert [key for key in ("test_mcc", "clean_test_mine", "test_sequences", "steps") if is_metric(key)] == [
        "test_mcc",
        "clean_test_mine",
    ]


@pytest.mark.parametrize("module", ["cmgems.runs", "cmgems.config"])
def test_reading_a_run_imports_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
