from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from cmgems.distributed import ALONE
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models import MODELS
from cmgems.runs import CheckpointConfig, Checkpoints
from cmgems.runs.checkpoints import damage
from cmgems.training import OptimConfig, Saver, build_optimizer


def write_text(folder):
    (folder / "weights").write_text("weights " * 100)


def saver_of(folder, model, optimizer):
    def write_model(path, weights, step):
        save_file(dict(weights), path / "model.safetensors")

    return Saver(Checkpoints(folder), CheckpointConfig(), model, optimizer, ALONE, write_model)


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
    assert checkpoints.newest() == 10
    warnings = capsys.readouterr().err
    assert "step_00000100" in warnings
    assert "step_00000015: weights does not match its checksum" in warnings
    assert not list(tmp_path.glob(".partial-*"))


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def replaced_by(make):
    """Something in place of a file, made by ``make``."""

    def act(path):
        path.unlink()
        make(path)

    return act


# A link to a disk that is not mounted, one in a circle, a file whose disk fails.
UNREADABLE = {
    "vanished": replaced_by(lambda path: path.symlink_to("/nonexistent/disk/file")),
    "circle": replaced_by(lambda path: path.symlink_to(path.name)),
    "failing": replaced_by(lambda path: path.symlink_to("/proc/self/mem")),
}
DAMAGED = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:3]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


def listing(folder):
    return {path.name: path.lstat().st_size for path in folder.rglob("*")}


@pytest.mark.parametrize("file", ["weights", "manifest.json"])
@pytest.mark.parametrize("harm", DAMAGED.values(), ids=DAMAGED)
def test_of_checkpoints_that_are_all_damaged_none_is_touched(tmp_path, harm, file):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        harm(checkpoints.save(step, write_text) / file)
    (tmp_path / ".partial-1-step_00000003").mkdir()
    before = listing(tmp_path)
    with pytest.raises(CheckpointError, match=r"no checkpoint can be used in .*step_00000002: .*restore it"):
        checkpoints.newest()
    assert listing(tmp_path) == before


@pytest.mark.parametrize("file", ["weights", "manifest.json"])
@pytest.mark.parametrize("harm", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_neither_damaged_nor_absent(tmp_path, harm, file):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, write_text)
    harm(checkpoints.save(2, write_text) / file)
    before = listing(tmp_path)
    with pytest.raises(CheckpointError, match=r"cannot read in .*step_00000002.*; mount its disk"):
        checkpoints.newest()  # though the one before is whole
    assert listing(tmp_path) == before


@pytest.mark.parametrize("place", ["", "step_00000002"])
def test_a_folder_on_a_disk_that_is_not_mounted(tmp_path, place):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (1, 2):
        checkpoints.save(step, write_text)
    folder = checkpoints.folder / place
    shutil.rmtree(folder)
    folder.symlink_to("/nonexistent/disk")
    with pytest.raises(CheckpointError, match="cannot read"):
        checkpoints.newest()


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, write_text)

    def refuse(path):
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(CheckpointError, match=r"cannot read in .*: Permission denied"):
        checkpoints.newest()


def test_a_later_damaged_one_never_counts_for_one_that_is_kept(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 100):
        checkpoints.save(step, write_text)
    flip(checkpoints.path(100) / "weights")
    assert checkpoints.newest() == 5
    for step in (10, 15):
        checkpoints.save(step, write_text)
        checkpoints.retain(1)
        assert checkpoints.all() == [checkpoints.path(step), checkpoints.path(100)]
    checkpoints.save(100, write_text)
    checkpoints.retain(1)
    assert (checkpoints.all(), checkpoints.newest()) == ([checkpoints.path(100)], 100)


def test_a_damaged_one_stays_until_the_new_one_is_whole(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    flip(checkpoints.save(1, write_text) / "weights")
    before = listing(tmp_path)

    def full(folder):
        raise OSError(28, os.strerror(28))

    with pytest.raises(CmgemsError, match="no space left"):
        checkpoints.save(1, full)
    assert listing(tmp_path) == before


def test_a_checkpoint_that_is_asked_for_is_verified(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    folder = checkpoints.save(1, write_text)
    assert checkpoints.whole(1) == folder
    flip(folder / "weights")
    with pytest.raises(
        CheckpointError, match=r"damaged checkpoint in .*step_00000001: weights does not match"
    ):
        checkpoints.whole(1)


def test_a_failed_save_leaves_the_earlier_ones(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, write_text)

    def full(folder):
        write_text(folder)
        raise OSError(28, os.strerror(28))

    with pytest.raises(CmgemsError, match=r"no space left.*step_00000001 is whole") as caught:
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


def test_a_copy_beside_them_is_no_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    copy = shutil.copytree(checkpoints.save(1, write_text), tmp_path / "step_00000001.bak")
    checkpoints.save(2, write_text)
    checkpoints.retain(1)
    assert checkpoints.newest() == 2
    assert copy.is_dir()


def test_optimizer_and_random_state_come_back_to_the_bit(tmp_path):
    def trained(steps):
        torch.manual_seed(0)
        model = MODELS.get("dnabert_tiny").masked_lm()
        optimizer = build_optimizer(model, OptimConfig())
        saver = saver_of(tmp_path, model, optimizer)
        saved = saver.resume() or {"done": 0}
        for _ in range(saved["done"], steps):
            model(torch.arange(5, 25)[None]).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        return model, saver

    straight, _ = trained(6)
    trained(3)[1].save(3, {"done": 3})
    resumed, _ = trained(6)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), straight.parameters(), strict=True))


def test_optimizer_state_of_another_model(tmp_path):
    model = MODELS.get("dnabert_tiny").masked_lm()
    optimizer = build_optimizer(model, OptimConfig())
    model(torch.arange(5, 25)[None]).mean().backward()
    optimizer.step()
    saver_of(tmp_path, model, optimizer).save(1, {})
    other = MODELS.build("dnabert_tiny", ffn=128).masked_lm()
    with pytest.raises(CmgemsError, match="another shape"):
        saver_of(tmp_path, other, build_optimizer(other, OptimConfig())).resume()


class Training:
    """A tiny model with dropout, one step at a time."""

    def __init__(self, folder, **config):
        torch.manual_seed(0)
        self.model = MODELS.get("dnabert_tiny").masked_lm()
        self.optimizer = build_optimizer(self.model, OptimConfig())
        config = CheckpointConfig(**config)
        self.saver = Saver(Checkpoints(folder), config, self.model, self.optimizer, ALONE, self.write)
        self.failure = None

    def write(self, folder, weights, step):
        if self.failure is not None:
            raise self.failure
        save_file(dict(weights), folder / "model.safetensors")

    def steps(self, count):
        for _ in range(count):
            self.model(torch.arange(5, 25)[None]).square().mean().backward()
            self.optimizer.step()
            self.optimizer.zero_grad()


@pytest.mark.parametrize("background", [False, True])
def test_a_saver_resumes_to_the_bit_whatever_happened_after_the_save(tmp_path, background):
    training = Training(tmp_path, background=background)
    assert training.saver.resume() is None
    state = {"step": 2, "seen": [1, 2]}
    with training.saver as saver:
        training.steps(2)
        saver.save(2, state, score=0.5)
        state["seen"].append(3)
        training.steps(3)
    resumed = Training(tmp_path)
    assert resumed.saver.resume() == {"step": 2, "seen": [1, 2], "score": 0.5}
    resumed.steps(3)
    pairs = zip(resumed.model.parameters(), training.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_failed_write_in_the_background_ends_the_run_at_the_next_save(tmp_path):
    training = Training(tmp_path, background=True)
    training.saver.save(1, {})
    training.saver.wait()
    training.failure = OSError(28, os.strerror(28))
    training.saver.save(2, {})
    with pytest.raises(CmgemsError, match=r"no space left.*step_00000001 is whole"):
        training.saver.save(3, {})
    training.saver.save(4, {})
    with pytest.raises(CmgemsError, match="no space left"), training.saver:
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]


def test_what_ended_a_run_is_not_hidden_by_a_failed_write(tmp_path):
    training = Training(tmp_path, background=True)
    training.failure = OSError(28, os.strerror(28))
    training.saver.save(1, {})
    with pytest.raises(RuntimeError, match="the cause"), training.saver:
        raise RuntimeError("the cause")


def test_the_best_checkpoint_is_kept(tmp_path):
    training = Training(tmp_path, keep=2, keep_best=True)
    for step, score in enumerate([3.0, 1.5, None, 2.0, float("nan"), 1.7], start=1):
        training.saver.save(step, {}, score)
    assert training.saver.checkpoints.best() == 2
    assert [path.name[-1] for path in training.saver.checkpoints.all()] == ["2", "5", "6"]


def test_a_checkpoint_of_another_model_or_out_of_sight(tmp_path, monkeypatch):
    training = Training(tmp_path)
    training.saver.save(1, {})
    other = Training(tmp_path)
    other.saver.model = MODELS.build("dnabert_tiny", ffn=128).masked_lm()
    with pytest.raises(CheckpointError, match=r"ffn_input.* is "):
        other.saver.resume()
    # Rank 0 names a step that this process does not see.
    monkeypatch.setattr(Checkpoints, "newest", lambda self: 9)
    with pytest.raises(CheckpointError, match="give an -o that all processes can read"):
        Training(tmp_path).saver.resume()


def test_ranks_without_a_random_state_of_their_own_start_anew(tmp_path):
    training = Training(tmp_path)
    training.saver.save(1, {})
    folder = training.saver.checkpoints.path(1)
    tensors = load_file(folder / "training.safetensors")
    assert [name for name in tensors if name.startswith("rng.cpu")] == ["rng.cpu.0"]
    tensors["rng.cpu.1"] = tensors.pop("rng.cpu.0")  # as if another rank had saved it
    save_file(tensors, folder / "training.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("training.safetensors")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    resumed = Training(tmp_path)
    before = torch.get_rng_state()
    assert resumed.saver.resume() is not None
    assert torch.equal(torch.get_rng_state(), before)
