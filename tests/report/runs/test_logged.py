"""Which runs a report finds, and the phases of their curricula."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from cmgems.errors import CheckpointError, DataError
from cmgems.report.runs.logged import LoggedRun, find_runs
from cmgems.report.runs.phases import Phase, in_words, phases, strategies


def write_run(folder: Path, *records: dict, summary: dict | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("recipe: pretrain\nsteps: 4\nmodel: {name: logo, layers: 2}\n")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


STEP = {"step": 1, "strategy": "genemask", "loss": 2.0}
DEV = {"step": 1, "dev_mcc": 0.5}


def test_runs_are_found_below_and_read(tmp_path):
    one = write_run(tmp_path / "a" / "one", STEP, {"step": 2, "loss": float("nan")}, summary={"steps": 2})
    write_run(tmp_path / "b" / "one", DEV)
    write_run(one / "checkpoints" / "step_1", STEP)
    found = find_runs([tmp_path])
    assert [run.name for run in found.runs] == ["a/one", "b/one"]
    assert [run.pretraining for run in found.runs] == [True, False]
    run = found.runs[0]
    assert run.summary == {"steps": 2}
    assert run.series("loss")[1].tolist() == [2.0]
    assert run.setting("steps") == 4
    assert run.setting("model") == "logo"
    assert run.setting("optim.lr") is None
    assert [r.name for r in find_runs([one, one]).runs] == ["one"]


def test_a_run_that_is_still_going(tmp_path):
    folder = write_run(tmp_path / "run", STEP)
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')
    assert len(find_runs([folder]).runs[0].records) == 1


def write_recipe(folder: Path, recipe: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"recipe: {recipe}\n")


def test_an_evaluation_stands_for_its_fine_tunings_but_not_for_pretraining(tmp_path):
    write_recipe(tmp_path / "ev", "evaluate")
    (tmp_path / "ev" / "results.json").write_text("{}")
    write_run(tmp_path / "ev" / "set" / "seed0", DEV)
    write_run(tmp_path / "ev" / "pretrain", STEP)
    found = find_runs([tmp_path / "ev"])
    assert [run.name for run in found.runs] == ["pretrain"]
    assert found.evaluations == [tmp_path / "ev"]
    assert found.empty == []


def test_a_comparison_in_its_first_run_is_that_run(tmp_path):
    write_recipe(tmp_path / "compare", "compare")
    write_run(tmp_path / "compare" / "pretrain" / "cm_gems-seed0", STEP)
    found = find_runs([tmp_path / "compare"])
    assert [run.name for run in found.runs] == ["cm_gems-seed0"]
    assert found.evaluations == []


def test_files_of_the_user_hide_no_run(tmp_path):
    write_run(tmp_path / "ft", DEV)
    for name in ("report.md", "results.json"):
        (tmp_path / name).write_text("{}")
    found = find_runs([tmp_path])
    assert [run.name for run in found.runs] == ["ft"]
    assert found.evaluations == []


def test_a_run_without_records_is_named_only_if_others_have_some(tmp_path):
    write_run(tmp_path / "one", STEP)
    empty = write_run(tmp_path / "two")
    assert find_runs([tmp_path]).empty == [empty]
    for wanted in ([tmp_path, empty], [empty]):
        with pytest.raises(DataError, match=r"no records yet in .*two/metrics.jsonl"):
            find_runs(wanted)


def test_what_is_no_run(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(DataError, match="no run in"):
        find_runs([tmp_path])
    folder = write_run(tmp_path / "run", STEP)
    for name, content in (("summary.json", b"{"), ("config.yaml", b"a: [")):
        before = (folder / name).read_bytes() if (folder / name).exists() else b"{}"
        (folder / name).write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot read the run"):
            find_runs([folder])
        (folder / name).write_bytes(before)
    (folder / "summary.json").write_text("[]")
    with pytest.raises(CheckpointError, match="not a run"):
        find_runs([folder])
    (folder / "summary.json").unlink()
    (folder / "metrics.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.warns(match="damaged lines left out: 1"), pytest.raises(DataError, match="no records yet"):
        find_runs([folder])


def logged(*names: str, switch: tuple[int, str] | None = None) -> LoggedRun:
    records = [{"step": 10 * (i + 1), "strategy": name} for i, name in enumerate(names)]
    if switch is not None:
        records.append({"step": switch[0], "switch": switch[1]})
    return LoggedRun(Path("x"), "x", {}, records, {})


def test_phases_of_a_switch():
    run = logged("easy", "easy", "hard", switch=(20, "hard"))
    assert phases(run) == [Phase(0, 20, {"easy": 1.0}), Phase(20, 30, {"hard": 1.0})]
    assert in_words(run) == "Masking switches to hard at step 20."


def test_phases_that_alternate_are_shares():
    rng = np.random.default_rng(0)
    names = ["easy", *rng.choice(["easy", "hard"], 999).tolist()]
    run = logged(*names)
    found = phases(run)
    assert strategies(run) == ["easy", "hard"]
    assert found[0].start == 0
    assert found[-1].stop == 10_000
    assert all(a.stop == b.start for a, b in itertools.pairwise(found))
    assert all(sum(phase.shares.values()) == pytest.approx(1) for phase in found)
    total = sum(phase.shares["hard"] * (phase.stop - phase.start) / 10 for phase in found)
    assert total == pytest.approx(names.count("hard"))
    assert in_words(run) == "Steps are masked by easy or hard."


def test_a_log_without_strategies_has_no_phases():
    assert phases(LoggedRun(Path("x"), "x", {}, [{"step": 1, "loss": 1.0}], {})) == []
