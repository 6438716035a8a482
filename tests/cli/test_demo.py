"""``cmgems demo``."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmgems.cli.main import run


def test_data_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "genome.fa.gz").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr("cmgems.demo.write_demo_data", interrupted)
    assert run(["demo", "-o", str(tmp_path / "demo")]) == 130
    assert not list((tmp_path / "demo").iterdir())
