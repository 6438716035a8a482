from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from cmgems.errors import CmgemsError, DiskError
from cmgems.runs import MetricLog, read_metric_log


class FakeWandB:
    """Keeps what it is told."""

    class errors:  # noqa: N801 - wandb's name
        class Error(Exception):
            pass

    Settings = SimpleNamespace

    def __init__(self):
        self.inits, self.logged, self.finished = [], [], 0

    def init(self, **given):
        self.inits.append(given)
        return self

    def define_metric(self, name, step_metric):
        assert (name, step_metric) == ("*", "step")

    def log(self, record):
        self.logged.append(record)

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_wandb_gets_the_same_records_and_goes_on_after_a_restart(tmp_path, wandb):
    folder = tmp_path / "logo"
    folder.mkdir()
    (folder / "config.yaml").write_text("recipe: pretrain\nsteps: 3\n")
    records = [{"step": 1, "loss": 0.5, "strategy": "genemask"}, {"step": 2, "loss": 0.25}]
    for record in records:
        with MetricLog(folder / "metrics.jsonl", record["step"] - 1, wandb=True) as log:
            log.write(record)
    assert wandb.logged == read_metric_log(folder / "metrics.jsonl") == records
    first, second = wandb.inits
    assert first == second
    assert (first["name"], first["mode"], first["resume"]) == ("logo", "offline", "allow")
    assert first["config"] == {"recipe": "pretrain", "steps": 3}
    assert wandb.finished == 2


@pytest.mark.parametrize(
    ("variable", "value", "mode"),
    [("WANDB_API_KEY", "key", "online"), ("WANDB_MODE", "disabled", "disabled")],
)
def test_wandb_is_online_only_when_asked(tmp_path, wandb, monkeypatch, variable, value, mode):
    monkeypatch.setenv(variable, value)
    with MetricLog(tmp_path / "metrics.jsonl", 0, wandb=True):
        pass
    assert wandb.inits[0]["mode"] == mode


def test_wandb_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(CmgemsError, match=r"pip install 'cmgems\[wandb\]'"):
        MetricLog(tmp_path / "metrics.jsonl", 0, wandb=True)


def test_a_folder_of_the_user_that_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(CmgemsError, match=r"wandb only has its name; pip install 'cmgems\[wandb\]'"):
        MetricLog(tmp_path / "metrics.jsonl", 0, wandb=True)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)


def test_wandb_that_does_not_start(tmp_path, wandb, monkeypatch):
    def refuse(**given):
        raise wandb.errors.Error("no network")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(CmgemsError, match=r"wandb does not start in log.wandb: no network; set WANDB_MODE"):
        MetricLog(tmp_path / "metrics.jsonl", 0, wandb=True)


def test_a_rank_that_does_not_write_opens_nothing(tmp_path):
    with MetricLog(tmp_path / "metrics.jsonl", 0, tensorboard=True, wandb=True, active=False) as log:
        log.write({"step": 1, "loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_error(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(DiskError, match=r"no space left in .*metrics\.jsonl"),
        MetricLog(tmp_path / "metrics.jsonl", 0) as log,
    ):
        log.write({"step": 1, "loss": 1.0})
