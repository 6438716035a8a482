from __future__ import annotations

import os

import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.models import MODELS
from cmgems.training import (
    Checkpoints,
    OptimConfig,
    build_optimizer,
    load_training_state,
    save_training_state,
)
from cmgems.training.checkpoint import damage


def write_text(folder):
    (folder / "weights").write_text("weights " * 100)


def test_newest_skips_damaged_ones_and_sweeps_leftovers(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.newest() is None
    for step in (5, 10, 15, 100):
        checkpoints.save(step, write_text)
    (tmp_path / ".partial-1-step_00000200").mkdir()
    (checkpoints.path(100) / "manifest.json").unlink()
    data = bytearray((checkpoints.path(15) / "weights").read_bytes())
    data[17] ^= 1  # one flipped bit
    (checkpoints.path(15) / "weights").write_bytes(data)
    assert checkpoints.newest() == checkpoints.path(10)
    warnings = capsys.readouterr().err
    assert "step_00000100" in warnings
    assert "step_00000015: weights does not match its checksum" in warnings
    assert not list(tmp_path.glob(".partial-*"))


def test_a_failed_save_leaves_the_earlier_ones(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, write_text)

    def full(folder):
        write_text(folder)
        raise OSError(28, os.strerror(28))

    with pytest.raises(CmgemsError, match="no space left") as caught:
        checkpoints.save(2, full)
    assert caught.value.exit_code == 1
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000001"]
    assert damage(checkpoints.path(1)) is None


def test_retention(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in range(1, 6):
        checkpoints.save(step, write_text)
    checkpoints.retain(2, also=1)
    assert checkpoints.all() == [checkpoints.path(step) for step in (1, 4, 5)]


def test_optimizer_and_random_state_come_back_to_the_bit(tmp_path):
    def trained(steps, start=None):
        torch.manual_seed(0)
        model = MODELS.get("dnabert_tiny").masked_lm()
        optimizer = build_optimizer(model, OptimConfig())
        done = 0
        if start is not None:
            model.load_state_dict(start)
            done = load_training_state(tmp_path, model, optimizer)["done"]
        for _ in range(done, steps):
            model(torch.arange(5, 25)[None]).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        return model, optimizer

    model, optimizer = trained(3)
    save_training_state(tmp_path, model, optimizer, {"done": 3})
    resumed, _ = trained(6, start=model.state_dict())
    straight, _ = trained(6)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), straight.parameters(), strict=True))


def test_optimizer_state_of_another_model(tmp_path):
    model = MODELS.get("dnabert_tiny").masked_lm()
    optimizer = build_optimizer(model, OptimConfig())
    model(torch.arange(5, 25)[None]).mean().backward()
    optimizer.step()
    save_training_state(tmp_path, model, optimizer, {})
    other = MODELS.build("dnabert_tiny", ffn=128).masked_lm()
    with pytest.raises(CmgemsError, match="another shape"):
        load_training_state(tmp_path, other, build_optimizer(other, OptimConfig()))
