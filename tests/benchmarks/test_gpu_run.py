"""The runner of the GPU benchmarks keeps what it has, whatever a part does, and its deadline."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAY = (
    "from pathlib import Path; import os; from results import append; "
    "append(Path(os.environ['RESULTS']), dict(part=os.environ['PART'], run=int(os.environ['RUN']), {}))"
)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "gpu")
    import plan
    import results
    import run

    return run, plan.Part, results


@pytest.fixture
def runner(gpu, tmp_path):
    run, _, results = gpu
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "benchmarks" / "gpu"),
        "RESULTS": str(tmp_path / results.RESULTS),
    }
    return lambda deadline: run.Runner(tmp_path, 1, run.Clock(deadline), 1, [], environment)


def python(gpu, name, code, *, seconds=0.1, most=20.0, beside=False):
    """A part that runs ``code``."""
    return gpu[1](name, ("-c", code.replace("{", "{{").replace("}", "}}")), seconds, most, beside)


def states(runner):
    return {ended.name: ended.state for ended in runner.ended}


def test_a_part_that_fails_or_hangs_costs_its_own_results_alone(gpu, runner, tmp_path, capsys):
    under_way = runner(60)
    under_way.go(
        [
            python(gpu, "fails", f"{SAY.format('a=1')}; raise ValueError('so wrong')"),
            python(gpu, "hangs", f"{SAY.format('a=2')}; import time; time.sleep(60)", most=2),
            python(gpu, "works", SAY.format("a=3")),
        ]
    )
    assert states(under_way) == {"fails": "failed", "hangs": "killed", "works": "ok"}
    assert [ended.results for ended in under_way.ended] == [1, 1, 1]
    lines = gpu[2].read([tmp_path / "results.jsonl"])
    assert [line["a"] for line in lines if "a" in line] == [1, 2, 3]
    assert [line["state"] for line in lines if line.get("what") == "part"] == ["failed", "killed", "ok"]
    assert "so wrong" in capsys.readouterr().out
    assert "so wrong" in (tmp_path / "log.txt").read_text()
    assert "works" in under_way.table()


def test_what_a_killed_part_has_started_dies_with_it(gpu, runner, tmp_path):
    # The child ignores the first, polite signal.
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); "
    code += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); p.wait()"
    runner(60).go([python(gpu, "parent", code, most=1.5)])
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} lives on")


def test_what_no_longer_fits_is_skipped_and_what_fits_still_runs(gpu, runner):
    under_way = runner(6)
    under_way.go(
        [
            python(gpu, "long", "", seconds=100),
            python(gpu, "greedy", "import time; time.sleep(60)", most=100),
            python(gpu, "late", "", seconds=4),
        ]
    )
    assert states(under_way) == {"long": "skipped", "greedy": "killed", "late": "skipped"}
    assert under_way.clock.now < 12


def test_a_part_beside_the_others_does_not_hold_them_up(gpu, runner):
    under_way = runner(60)
    began = time.monotonic()
    under_way.go(
        [python(gpu, "beside", "import time; time.sleep(60)", beside=True), python(gpu, "works", "")]
    )
    assert states(under_way) == {"beside": "killed", "works": "ok"}
    assert time.monotonic() - began < 20


def test_a_line_cut_short_is_left_out(gpu, tmp_path):
    results = gpu[2]
    path = tmp_path / "results.jsonl"
    results.append(path, {"a": 1})
    with open(path, "a") as file:
        file.write('{"a": 2, "b"')
    assert results.read([path]) == [{"a": 1}]


def test_the_plans_fit_into_nine_minutes_and_their_scripts_are_there(gpu):
    run = gpu[0]
    for parts in run.RUNS.values():
        assert sum(part.seconds for part in parts) < 540
        for part in parts:
            assert part.seconds <= part.most
            assert Path(part.command[0].format(part=run.HERE / "parts")).is_file()


def test_the_command_ends_with_a_table_and_needs_a_gpu(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu" / "run.py"), "1", "--only", "machine"]
    command += ["--out", str(tmp_path / "out"), "--prepared", str(tmp_path), "--quick"]
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=hidden)
    assert done.returncode == 0, done.stderr
    assert "no GPU" in done.stdout
    assert "machine       failed" in done.stdout.splitlines()[-1]
