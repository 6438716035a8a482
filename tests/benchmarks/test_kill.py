"""A run that is killed over and over ends as one left alone; `benchmarks/kill.py --kills 100` is the full run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_six_kills(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "--kills", "6", "--seed", "1"]
    command += ["--output", str(tmp_path / "kills.md")]
    done = subprocess.run(
        command, timeout=1100, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(re.findall(r"^\| (.+?) \| (\d+) \|$", (tmp_path / "kills.md").read_text(), re.MULTILINE))
    assert rows["SIGKILLs"] == "6"
    assert int(rows["runs that came to their end"]) >= 1
    assert {value for name, value in rows.items() if name.startswith("runs with another")} == {"0"}
    assert rows["checkpoints found damaged"] == "0"
