from __future__ import annotations

import io
import signal

import pytest
from rich.console import Console

from cmgems import progress
from cmgems.errors import CmgemsError
from cmgems.runs import LogConfig, display, show_steps, step_text, stop_signals
from cmgems.runs.display import FIGURES, duration

RECORD = {
    "step": 30,
    "loss": 5.5,
    "gradient_norm": 0.31234,
    "strategy": "genemask",
    "masked_share": 0.1234,
    "lr": 8e-4,
    "seconds": 0.5,
    "tokens_per_second": 1234567.0,
    "wait_share": 0.004,
    "peak_memory_gb": 12.345,
    "mfu": 0.451,
    "skipped": 1,
    "spikes": 2,
}


class Screen(io.StringIO):
    """What a terminal gets."""

    def isatty(self):
        return True


def use_console(monkeypatch, file, width=80, **options):
    shown = Console(file=file, width=width, **options)
    for module in (display, progress):
        monkeypatch.setattr(module, "console", shown)


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal of 80 columns gets."""
    screen = Screen()
    use_console(monkeypatch, screen, color_system=None, _environ={})
    return screen


@pytest.fixture
def pipe(monkeypatch):
    use_console(monkeypatch, io.StringIO())


def test_plain_lines(pipe, capsys):
    with show_steps("pretrain", 0, 60, 10) as shown:
        for done in range(1, 61):
            shown.step(done, "loss 5.5")
        shown.note("step 60: done")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["pretrain 10/60  loss 5.5  0 s left", "pretrain 20/60  loss 5.5  0 s left"]
    assert len(lines) == 7
    assert lines[-1] == "step 60: done"


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        (Screen(), {"TERM": "dumb"}),
        (Screen(), {"TERM": "unknown", "FORCE_COLOR": "1"}),
        (io.StringIO(), {"FORCE_COLOR": "1"}),
        (io.StringIO(), {"FORCE_COLOR": "1", "TERM": "xterm-256color"}),
        (io.StringIO(), {"TTY_COMPATIBLE": "1"}),
        (None, {"FORCE_COLOR": "1"}),
    ],
)
def test_plain_lines_where_no_panel_can_be_redrawn(monkeypatch, capsys, file, environment):
    use_console(monkeypatch, file, stderr=True, _environ=environment)
    with show_steps("pretrain", 0, 3, 1) as shown:
        for done in range(1, 4):
            shown.step(done, "x", RECORD)
            assert capsys.readouterr().err.startswith(f"pretrain {done}/3  x")
    with progress.progress("counting", 10, "bp") as advance:
        advance(5)
    assert file is None or file.getvalue() == ""
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("width", [0, 1, 2, 5, 20])
def test_a_narrow_terminal(monkeypatch, width):
    use_console(monkeypatch, Screen(), width, _environ={})
    with show_steps("pretrain", 0, 3, 1) as shown:
        shown.step(2, "x", RECORD)
    with progress.progress("counting", 10, "bp") as advance:
        advance(5)


def test_the_last_step_has_a_line_of_its_own(pipe, capsys):
    with show_steps("finetune", 0, 3, 10) as shown:
        for done in range(1, 4):
            shown.step(done, "x")
    assert capsys.readouterr().err == "finetune 3/3  x  0 s left\n"


def test_other_ranks_show_nothing(pipe, capfd):
    with show_steps("pretrain", 0, 3, 1, visible=False) as shown:
        shown.step(1, "x", RECORD)
        shown.note("note")
        shown.announce("signal")
    assert capfd.readouterr().err == ""


VALIDATED = {"validation_loss": 6.2, "validation_accuracy": 0.321}


def test_the_panel_shows_every_figure(terminal):
    with show_steps("pretrain", 10, 40, 10) as shown:
        shown.note("step 20: fixed-mask validation loss 6.2000 [not markup]", VALIDATED)
        shown.note("switched", {"step": 20, "switch": "global_pmi"})
        shown.step(30, step_text(RECORD), RECORD)
    text = terminal.getvalue()
    panel = text[text.rindex("pretrain") :]  # the last time it was drawn
    for figure in (
        "5.5000 (ppl 244.7)", "6.2000 (ppl 492.7)", "genemask", "global_pmi", "12.3 %", "32.1 %",
        "0.0008", "0.312", "1.23 M tokens/s", "45.1 %", "12.35 GB", "0.4 %", "30/40  75 %", "left",
    ):  # fmt: skip
        assert figure in panel, figure
    for label, _ in FIGURES.values():
        assert label in panel
    assert "step 20: fixed-mask validation loss 6.2000 [not markup]" in text


def test_the_panel_works_without_figures(terminal):
    """As finetune calls it."""
    with show_steps("finetune", 0, 40, 10) as shown:
        shown.step(5, "epoch 1  loss 0.6931")
    assert "epoch 1  loss 0.6931" in terminal.getvalue()
    assert "5/40" in terminal.getvalue()


def test_the_panel_says_that_a_signal_has_come(terminal):
    with show_steps("pretrain", 0, 40, 10) as shown, stop_signals(shown.announce):
        signal.raise_signal(signal.SIGTERM)
        shown._live.refresh()
        assert "SIGTERM: stopping after this step" in terminal.getvalue()
    text = terminal.getvalue()
    assert "SIGTERM" not in text[text.rindex("pretrain") :]  # the last panel stays when the run has stopped


def test_a_signal_in_plain_mode(pipe, capfd):
    with show_steps("pretrain", 0, 40, 10) as shown, stop_signals(shown.announce):
        signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == "SIGINT: stopping after this step; send it again to exit at once\n"


def test_a_step_in_short():
    assert step_text(RECORD) == "loss 5.5000  genemask  1.23 M tokens/s  45 % of peak"
    skipped = {k: v for k, v in RECORD.items() if k not in ("loss", "mfu")}
    assert step_text(skipped) == "skipped  genemask  1.23 M tokens/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (99, "99 s"),
        (99.6, "2 min"),
        (3599, "1 h 0 min"),
        (19_230, "5 h 20 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("field", ["every", "profile"])
def test_settings_out_of_range(field):
    with pytest.raises(CmgemsError, match=f"`{field}` must be 1 or more"):
        LogConfig(**{field: 0})
