"""The readers take files as users have them and refuse the rest in words; `benchmarks/fuzz/run.py` is the full run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "benchmarks" / "fuzz"
sys.path.insert(0, str(FUZZ))

from readers import READERS  # noqa: E402
from trial import judge  # noqa: E402

FEWER = {"YAML config": 60, "model folder": 60, "store index": 100}  # slow ones; of the others 300
CORPUS = sorted(path for path in (FUZZ / "corpus").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", READERS)
def test_made_files(name, tmp_path):
    reader = READERS[name]
    accepted = 0
    for number in range(FEWER.get(name, 300)):
        data, records = reader.input(Random(number))
        verdict = judge(reader, data, tmp_path / f"input{reader.suffix}", records)
        assert not verdict.finding, f"{verdict.finding}: {verdict.detail} {data!r}"
        accepted += verdict.accepted
    assert accepted


@pytest.mark.parametrize("name", ["FASTA", "labels CSV", "sequences CSV", "VCF", "BED"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_files_as_users_have_them(name, tmp_path, random):
    """Hypothesis makes the draws, so that what it finds is small."""
    reader = READERS[name]
    data, records = reader.make(random)
    assert not judge(reader, data, tmp_path / f"input{reader.suffix}", records).finding


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: str(path.relative_to(FUZZ / "corpus")))
def test_what_was_found_before(path, tmp_path):
    folder, kind = path.parent.parent, path.parent.name
    reader = READERS[folder.name]
    verdict = judge(reader, path.read_bytes(), tmp_path / f"input{reader.suffix}")
    assert not verdict.finding, verdict.detail
    assert verdict.accepted == (kind == "accepted")


@pytest.mark.slow
@pytest.mark.parametrize("only", ["BED", "tokenizer.json"])
def test_the_full_run(only, tmp_path):
    command = [sys.executable, str(FUZZ / "run.py"), "--inputs", "3000", "--only", only]
    command += ["--findings", str(tmp_path / "findings")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, timeout=250, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"| {only} | 3,000 |" in done.stdout


def test_a_run_that_was_ended_goes_on(tmp_path):
    spec = importlib.util.spec_from_file_location("fuzz_run", FUZZ / "run.py")
    run = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_run"] = run  # where dataclasses look for it
    spec.loader.exec_module(run)
    waiting, log = run.tasks([READERS["BED"]], 500_000, 0.0), tmp_path / "done.jsonl"
    assert [task.count for task in waiting] == [200_000, 200_000, 100_000]
    waiting[1].counters[:] = [200_000, 7, 0]
    run.put_down(waiting[1], log, seed=3)
    again, other_seed = (run.tasks([READERS["BED"]], 500_000, 0.0) for _ in range(2))
    assert run.take_up(other_seed, log, seed=4) == []
    (done,) = run.take_up(again, log, seed=3)
    assert (done.first, list(done.counters)) == (200_000, [200_000, 7, 0])
    assert [task.first for task in again] == [0, 400_000]
