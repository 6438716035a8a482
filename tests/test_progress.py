"""Progress where nothing can be drawn over: a line now and then."""

from __future__ import annotations

import itertools

import pytest

from cmgems import progress


def test_what_is_done_may_be_taken_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that knows no ranges sends a file from its start."""
    seconds = itertools.count(step=2 * progress.PLAIN_INTERVAL_SECONDS)
    monkeypatch.setattr(progress, "can_redraw", lambda: False)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    with progress.progress("genome", 1000, "B") as advance:
        for amount in (500, -500):
            advance(amount)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("genome: 50 %, 20 s left, ")
    assert second.startswith("genome: 0 %, 0 ")
