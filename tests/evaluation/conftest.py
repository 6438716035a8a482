"""Fixtures shared by the tests of evaluation."""

from __future__ import annotations

import pytest


@pytest.fixture
def labelled_set():
    """``labelled_set(folder)``: write a dataset of two classes to ``folder``."""

    def write(folder, rows_a_class=30):
        folder.mkdir(parents=True)
        lines = [f"{'ACGT' * 10}{'ACGT'[i % 4]}{'ACGT'[i // 4 % 4]},{i % 2}" for i in range(2 * rows_a_class)]
        for split in ("train", "dev", "test"):
            (folder / f"{split}.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")

    return write
