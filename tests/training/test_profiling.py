from __future__ import annotations

import gzip
import json

import torch

from cmgems.training import profiled


def test_a_trace_and_a_table_of_the_steps_asked_for(tmp_path):
    said = []
    with profiled(2, tmp_path, said.append) as step:
        for _ in range(8):
            torch.ones(64, 64) @ torch.ones(64, 64)
            step()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["profile.json.gz", "profile.txt"]
    events = json.loads(gzip.decompress((tmp_path / "profile.json.gz").read_bytes()))["traceEvents"]
    assert sum(event.get("name") == "aten::matmul" for event in events) == 2
    assert "aten::mm" in (tmp_path / "profile.txt").read_text()
    assert said == [
        f"profiled 2 steps: {tmp_path}/profile.json.gz, the costliest operations in {tmp_path}/profile.txt"
    ]


def test_a_run_that_ends_before_says_how_many_there_were(tmp_path):
    said = []
    with profiled(5, tmp_path, said.append) as step:
        for _ in range(5):
            torch.ones(2) + 1
            step()
    assert said[0].startswith("profiled 2 steps: ")


def test_nothing_by_default(tmp_path):
    with profiled(None, tmp_path, print) as step:
        step()
    assert list(tmp_path.iterdir()) == []
