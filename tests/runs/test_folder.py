from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cmgems.config import input_path
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.files import sha256_of
from cmgems.runs import MetricLog, open_run, read_metric_log
from cmgems.runs.folder import RunBusyError, check_same, share_folder


@dataclass(frozen=True)
class Config:
    steps: int = 3
    rate: float = 0.15


def test_several_processes_may_begin_at_once(tmp_path):
    """One finds what another is still writing."""
    (tmp_path / ".partial-1-config.yaml").write_text("")
    (tmp_path / "inputs.json").write_text("{}")
    share_folder(tmp_path, Config(), "evaluate")
    assert (tmp_path / "config.yaml").exists()


def test_the_same_command_opens_its_folder_again(tmp_path):
    for _ in range(2):
        with open_run(tmp_path / "run", Config(), "pretrain") as run:
            assert (run.folder / "config.yaml").read_text() == "recipe: pretrain\nsteps: 3\nrate: 0.15\n"


def test_one_run_at_a_time(tmp_path):
    with (
        open_run(tmp_path / "run", Config(), "pretrain"),
        pytest.raises(RunBusyError, match="another run is writing there"),
        open_run(tmp_path / "run", Config(), "pretrain"),
    ):
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, errno.EIO])
def test_a_disk_without_locks(tmp_path, monkeypatch, capsys, code):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    others = tmp_path / "run" / ".partial-1-a.json"  # another run may be writing it
    others.parent.mkdir()
    others.touch()
    with open_run(tmp_path / "run", Config(), "pretrain") as run:
        assert (run.folder / "config.yaml").is_file()
    assert others.exists()
    warning = f"warning: this disk has no locks ({os.strerror(code)}), so nothing stops a second run from writing in"
    assert capsys.readouterr().err == f"{warning} {tmp_path / 'run'}; start only one\n"


def test_a_folder_of_many_runs_is_of_one_recipe(tmp_path):
    for _ in range(2):
        share_folder(tmp_path / "many", Config(), "evaluate")
    with open_run(tmp_path / "run", Config(), "pretrain"):
        pass
    before = (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(CmgemsError, match="it holds a run of the recipe pretrain"):
        share_folder(tmp_path / "run", Config(), "evaluate")
    assert (tmp_path / "run" / "config.yaml").read_text() == before


@pytest.mark.parametrize("name", ["config.yaml", "summary.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    with open_run(tmp_path, Config(), "pretrain") as run:
        run.finish({"steps": 3})
    (tmp_path / name).write_text("[")
    with (
        pytest.raises(CmgemsError, match=f"cannot read the run in .*{name}"),
        open_run(tmp_path, Config(), "pretrain") as run,
    ):
        assert run.summary


def test_another_config_is_refused_once_there_is_a_checkpoint(tmp_path):
    with open_run(tmp_path, Config(), "pretrain"):
        pass
    with open_run(tmp_path, Config(steps=4), "pretrain") as run:  # the first try saved nothing
        run.checkpoints.save(1, lambda folder: (folder / "weights").write_text(""))
    with open_run(tmp_path, Config(steps=4), "pretrain"):
        pass
    message = "`steps` is 4 there, 3 here"
    with pytest.raises(CmgemsError, match=message), open_run(tmp_path, Config(rate=0.3), "pretrain"):
        pass


def test_another_config_is_refused_of_a_finished_run_without_checkpoints(tmp_path):
    with open_run(tmp_path, Config(), "pretrain") as run:
        run.finish({"steps": 3})
    with pytest.raises(CmgemsError, match="another config"), open_run(tmp_path, Config(rate=0.3), "pretrain"):
        pass
    with pytest.raises(CheckpointError, match="`recipe` is pretrain there, finetune here"):
        check_same(tmp_path, Config(), "finetune")
    assert check_same(tmp_path, Config()) == {}


@dataclass(frozen=True)
class WithInput:
    table: Path = input_path(sha256_of)


def a_run_with_a_checkpoint(out, config):
    with open_run(out, config, "pretrain") as run:
        run.checkpoints.save(1, lambda folder: (folder / "weights").write_text(""))


def test_a_changed_input_is_refused_and_a_moved_one_is_not(tmp_path):
    table, moved, out = tmp_path / "table", tmp_path / "moved", tmp_path / "run"
    table.write_text("ranks")
    a_run_with_a_checkpoint(out, WithInput(table))
    table.rename(moved)
    with open_run(out, WithInput(moved), "pretrain"):
        pass
    moved.write_text("other ranks")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    message = "inputs have changed in .*run: this run began with other contents of table; bring those back"
    for _ in range(2):  # nor is it taken for known the second time
        with pytest.raises(CheckpointError, match=message), open_run(out, WithInput(moved), "pretrain"):
            pass
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_run_from_before_inputs_were_recorded_goes_on_and_records_them(tmp_path):
    table, out = tmp_path / "table", tmp_path / "run"
    table.write_text("ranks")
    a_run_with_a_checkpoint(out, WithInput(table))
    (out / "inputs.json").unlink()
    with open_run(out, WithInput(table), "pretrain"):
        pass
    assert json.loads((out / "inputs.json").read_text()) == {"table": sha256_of(table)}


def test_a_finished_run_needs_its_inputs_no_more(tmp_path):
    table, out = tmp_path / "table", tmp_path / "run"
    table.write_text("ranks")
    with open_run(out, WithInput(table), "pretrain") as run:
        run.finish({})
    table.unlink()
    with open_run(out, WithInput(table), "pretrain") as run:
        assert run.summary == {}


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "inputs.json", "checkpoints"])
def test_what_is_on_a_disk_that_is_not_mounted_is_not_begun_anew(tmp_path, name):
    out = tmp_path / "run"
    a_run_with_a_checkpoint(out, Config())
    with open_run(out, Config(), "pretrain") as run:
        run.finish({"steps": 3})
    (out / name).rename(tmp_path / "elsewhere")
    (out / name).symlink_to("/nonexistent/disk")
    with pytest.raises(CmgemsError, match="cannot read"), open_run(out, Config(), "pretrain") as run:
        assert run.summary is None
    assert (out / name).is_symlink()


def test_what_others_are_writing_in_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / ".partial-1-store").mkdir()
    (tmp_path / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(CmgemsError, match="not empty and not a run"),
        open_run(tmp_path, Config(), "pretrain"),
    ):
        pass
    assert (tmp_path / ".partial-1-store").is_dir()


def test_two_runs_never_share_a_folder(tmp_path):
    with (
        open_run(tmp_path, Config(), "pretrain"),
        pytest.raises(CmgemsError, match="another run is writing there"),
        open_run(tmp_path, Config(), "pretrain"),
    ):
        pass


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(CmgemsError, match="not empty and not a run"),
        open_run(tmp_path, Config(), "pretrain"),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "out").write_text("")
    with (
        pytest.raises(CmgemsError, match=r"cannot write in .*out"),
        open_run(tmp_path / "out", Config(), "pretrain"),
    ):
        pass


def test_metrics_after_the_resumed_step_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricLog(path, 0) as log:
        for step in range(1, 6):
            log.write({"step": step, "loss": 1 / step})
    lines = path.read_bytes().splitlines(keepends=True)
    # A damaged line costs itself alone; a kill may come in the middle of a line.
    path.write_bytes(b"".join([lines[0], b"\xff{\n", b"[1]\n", *lines[1:], b'{"step": 6, "lo']))
    with pytest.warns(match="damaged lines left out: 2, the first is line 2"), MetricLog(path, 3) as log:
        log.write({"step": 4, "loss": 9.0})
    assert [(r["step"], r["loss"]) for r in read_metric_log(path)] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1 / 3),
        (4, 9.0),
    ]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_tensorboard_gets_the_same_figures(tmp_path):
    with MetricLog(tmp_path / "metrics.jsonl", 0, tensorboard=True) as log:
        log.write({"step": 3, "loss": 0.25, "strategy": "genemask"})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(3, 0.25)]


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(CmgemsError, match=r"pip install 'cmgems\[tensorboard\]'"):
        MetricLog(tmp_path / "metrics.jsonl", 0, tensorboard=True)
