"""The page of the GPU's figures: from any results, open about what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "gpu")
    import page
    import tables

    return page, tables


def row(text, *cells):
    """The cells of the one row that starts with ``cells``."""
    start = "| " + " | ".join(cells) + " |"
    (found,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_without_results_nothing_is_measured(gpu):
    text = gpu[0].page([])
    assert text.count("not measured") > 100
    assert "Kill and resume: not measured." in text
    assert row(text, "`nt_v2_50m`", "yes")[2] == "not measured"


def test_figures_stand_where_they_belong(gpu):
    step = {"run": 1, "what": "training", "model": "logo", "lengths": "507", "seconds": 0.02, "mfu": None}
    step |= {"tflops": 200.0, "memory_gb": 5.0, "ready": 30.0, "graphs": 1, "losses": [8.5, 8.4]}
    lines = [
        {"run": 1, "what": "ceilings", "copy_tb_per_second": 3.0, "matmul_tflops": 800.0},
        {**step, "part": "logo", "side": "cmgems, compiled", "tokens_per_second": 6e6},
        {**step, "part": "huggingface", "side": "Hugging Face, compiled", "tokens_per_second": 2e6},
    ]
    text = gpu[0].page(lines)
    cells = row(text, "`logo`", "507", "cmgems, compiled")
    assert cells[3:] == ["6.000", "20.00", "-", "25.0%", "5.0", "30", "3.00", "8.5000 to 8.4000"]
    assert row(text, "`logo`", "507", "cmgems, eager")[3] == "not measured"
    assert row(text, "1", "not measured", "not measured")[3:] == ["3.00", "800"]


def test_wrong_gradients_stand_out(gpu):
    line = {
        "what": "agreement",
        "family": "logo",
        "precision": "bf16",
        "mask": False,
        "gradient_error": 0.004,
    }
    line |= {"not_finite": [], "refused": "", "agrees": True}
    lines = [
        {**line, "backend": "default"},
        {**line, "backend": "cuDNN", "agrees": False, "not_finite": [448, 64]},
        {**line, "backend": "flash", "agrees": False, "refused": "No available kernel."},
        {**line, "backend": "math", "agrees": False, "gradient_error": 0.5},
    ]
    cells = row(gpu[0].page(lines), "`logo`", "no")
    assert cells[2:8] == [
        "4.0e-03",
        "-",
        "**not finite** at 448, 64",
        "refused",
        "not measured",
        "**5.0e-01**",
    ]


def test_quick_runs_are_said_to_mean_nothing(gpu):
    found = {
        "run": 1,
        "what": "machine",
        "gpu": "A GPU",
        "cuda": "13.0",
        "cudnn": 1,
        "versions": {"torch": "2.11.0"},
    }
    assert "mean nothing" in gpu[0].page([{**found, "quick": True}])
    assert "mean nothing" not in (text := gpu[0].page([{**found, "quick": False}]))
    assert "| 1 | A GPU, CUDA 13.0, cuDNN 1 | torch 2.11.0 | not measured |" in text


def test_fine_tunings_are_averaged(gpu):
    run = {
        "what": "fine-tuning",
        "model": "logo",
        "strategy": "genemask",
        "dataset": "Splice-40",
        "shots": 10,
    }
    text = gpu[0].page([{**run, "draw": draw, "test_mcc": mcc} for draw, mcc in enumerate([0.2, 0.4])])
    assert "| 0.300 (2) |" in text


def test_the_command_writes_the_page_that_is_in_the_repository(tmp_path):
    """As long as nothing has been measured; then the page is made of results that are not in it."""
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "gpu" / "page.py"),
        "--output",
        str(tmp_path / "x.md"),
    ]
    subprocess.run(command, check=True, timeout=60, env={"PYTHONPATH": str(ROOT)}, capture_output=True)
    made, kept = (path.read_text() for path in (tmp_path / "x.md", ROOT / "docs" / "results" / "gpu.md"))
    heads = [line for line in made.splitlines() if line.startswith(("#", "python"))]
    assert [line for line in kept.splitlines() if line.startswith(("#", "python"))] == heads
