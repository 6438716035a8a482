"""The counting benchmark on a tiny genome; KMC and jellyfish take part where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_it_writes_its_table(tmp_path):
    options = ["--mbp", "1", "--rounds", "1", "--genome", "2", "--output", str(tmp_path / "counting.md")]
    command = [sys.executable, str(ROOT / "benchmarks" / "counting.py"), *options]
    subprocess.run(command, check=True, timeout=280, env={**os.environ, "PYTHONPATH": str(ROOT)})
    text = (tmp_path / "counting.md").read_text()
    assert "A random genome of 1 Mbp" in text
    assert "2 Mbp, each counted once" in text
    for program, name in (("kmc", "KMC"), ("jellyfish", "jellyfish")):
        assert f"| {name} |" in text if shutil.which(program) else f"`{program}` was not on PATH" in text
