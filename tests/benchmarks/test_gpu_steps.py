"""The rows that the GPU benchmarks train on: the same tokens on all sides, whatever the width and the batching."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from cmgems.masking import micro_batches

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def steps(monkeypatch):
    for folder in ("benchmarks", "benchmarks/gpu"):
        monkeypatch.syspath_prepend(ROOT / folder)
    import steps

    return steps


@pytest.mark.parametrize("part", sorted(path.stem for path in (ROOT / "benchmarks/gpu/parts").glob("*.py")))
def test_every_part_can_be_loaded(part, monkeypatch):
    """They run on a GPU alone: a name that has gone would show there first."""
    for folder in ("benchmarks", "benchmarks/gpu", "benchmarks/gpu/parts"):
        monkeypatch.syspath_prepend(ROOT / folder)
    monkeypatch.delitem(sys.modules, part, raising=False)
    assert callable(importlib.import_module(part).main)


def hidden(batches):
    """The tokens at the masked positions, and their labels."""
    ids = [batch.ids_BS.reshape(-1)[batch.positions_M] for batch in batches]
    return np.concatenate(ids).tolist(), np.concatenate([batch.labels_M for batch in batches]).tolist()


def test_widths_and_batching_change_no_token(steps):
    ((padded,),) = steps.rows_of(steps.MASKED, 20, 1)
    ((full,),) = steps.rows_of(steps.FULL, 20, 1)
    assert padded.ids_BS.shape == (20, 512)
    assert full.ids_BS.shape == (20, 507)
    assert full.attention_BS.all()
    assert padded.attention_BS.sum() == full.attention_BS.sum()
    parts = micro_batches(padded, 4, full=507, multiple=64)
    assert [part.ids_BS.shape for part in parts] == [(5, 507)] * 4
    assert hidden([full]) == hidden([padded]) == hidden(parts)
    assert all(part.attention_BS.reshape(-1)[part.positions_M].all() for part in parts)


def test_steps_differ(steps):
    (first,), (second,) = steps.rows_of(steps.FULL, 2, 2)
    assert (first.ids_BS != second.ids_BS).any()
