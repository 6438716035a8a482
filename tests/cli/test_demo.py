"""``cmgems demo``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.core import TyperGroup

from cmgems.cli import main
from cmgems.demo import Journey


def test_data_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "genome.fa.gz").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr("cmgems.demo.journey.write_demo_data", interrupted)
    assert main.run(["demo", "-o", str(tmp_path / "demo")]) == 130
    assert not list((tmp_path / "demo").iterdir())


def test_it_shows_the_commands_it_runs_and_stops_at_the_first_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my demo"
    whole, started = TyperGroup.main, list[list[str]]()

    def started_only(group: TyperGroup, words: list[str], **options: object) -> object:
        if words[0] == "demo":
            return whole(group, words, **options)
        started.append(words)
        return 1 if words[0] == "pmi" else 0

    monkeypatch.setattr(Journey, "simulate", lambda journey: None)
    monkeypatch.setattr(TyperGroup, "main", started_only)
    assert main.run(["demo", "-o", str(out)]) == 1
    assert started == [
        ["genome", "build", f"{out}/data/genome.fa.gz", "-o", f"{out}/store"],
        ["pmi", "build", f"{out}/store", "-o", f"{out}/pmi.safetensors", "--k", "6", "--top", "5"],
    ]
    assert (
        f"$ cmgems pmi build '{out}/store' -o '{out}/pmi.safetensors' --k 6 --top 5"
        in capsys.readouterr().out
    )
