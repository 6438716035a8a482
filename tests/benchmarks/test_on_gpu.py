"""The pages of the GPU benchmarks: whole after every row, and open about what failed."""

from pathlib import Path

import pytest
import torch

from cmgems.training import Compute


@pytest.fixture
def page(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    from on_gpu import Page

    compute = Compute(torch.device("cpu"), bf16=False, compiled=False)
    return Page(tmp_path / "page.md", "Title", "some.py", compute, 3, ["a", "b"], ["A note."])


def test_a_page_cut_short_says_so(page):
    page.add([["1", "2"]])
    text = page.path.read_text()
    assert "| 1 | 2 |" in text
    assert "Not finished" in text
    assert "A note." in text
    with pytest.raises(SystemExit) as left:
        page.finish()
    assert left.value.code == 0
    assert "Not finished" not in page.path.read_text()


def test_a_failure_costs_its_own_row(page):
    with page.attempt("one side"):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
    page.add([["1", "2"]])
    assert "**failed:** one side: OutOfMemoryError: CUDA out of memory.\n" in page.path.read_text()
    with pytest.raises(SystemExit) as left:
        page.finish()
    assert left.value.code == 1


def test_an_interrupt_is_no_failure_of_a_side(page):
    with pytest.raises(KeyboardInterrupt), page.attempt("one side"):
        raise KeyboardInterrupt
