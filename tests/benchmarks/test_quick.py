"""The benchmarks that compare in one process run and write their tables; what they measure here means nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("script", "rows"),
    [
        pytest.param(
            "masking",
            ["Hugging Face `torch_mask_tokens`", "cmgems `global_pmi`", "the papers' loop, `genemask`"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "tokenizing",
            ["cmgems, from the store", "Hugging Face WordLevel", "memcpy"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "models",
            ["`logo` | fp32 | forward | eager", "`logo` | bf16 | training | compiled"],
            marks=pytest.mark.slow,
        ),
        pytest.param("probing", ["`logo_small`", "`logo`"], marks=pytest.mark.slow),
        pytest.param("base_probabilities", ["the four k-mers, mean over the tokens"], marks=pytest.mark.slow),
        pytest.param("training", ["`logo`, 1 layers", "`dnabert`, 1 layers"], marks=pytest.mark.slow),
        pytest.param(
            "pipeline",
            ["cmgems pipeline", "raw loop", "an item is a batch", "an item is a sequence"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_it_writes_its_table(tmp_path, script, rows):
    text = quick(script, tmp_path / "table.md")
    for row in rows:
        assert f"| {row}" in text or f", {row}" in text


def quick(script, page):
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), "--quick"]
    command += ["--output", str(page)]
    subprocess.run(command, check=True, timeout=280, env={**os.environ, "PYTHONPATH": str(ROOT)})
    text = page.read_text()
    assert f"python benchmarks/{script}.py" in text
    return text
