"""Checkpoints: one folder a step, written beside and renamed, with a manifest of checksums.

    checkpoints/step_00001000/
        model.safetensors, model.json   the model folder (cmgems.models)
        training.safetensors            optimizer moments and RNG states
        training.json                   step, data position, curriculum, whatever the recipe adds
        manifest.json                   sha256 of each file; its presence marks the checkpoint as whole

Of a sharded model each rank writes its part of weights, moments and RNG states, ``shard-*.safetensors``, in place of
the first two lines (sharded.py). One flipped bit loads silently in most safetensors files, so the checksums are
verified before a resume.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmgems.errors import CmgemsError, DiskError
from cmgems.files import PARTIAL_PREFIX, atomic_folder, write_json
from cmgems.runs.layout import MANIFEST, STEP_PREFIX, TRAINING_JSON, step_folder, step_of


@dataclass(frozen=True)
class CheckpointConfig:
    """When to save and what to keep.

    Attributes:
        every: Optimizer steps between checkpoints; the last step is always saved.
        keep: Newest checkpoints kept.
        keep_best: Keep besides the one with the lowest validation loss, of those saved at a step that was validated.
        background: Copy the state to main memory and write it while training goes on. A failed write ends the run at
            the next checkpoint.
    """

    every: int = 1000
    keep: int = 2
    keep_best: bool = False
    background: bool = False

    def __post_init__(self) -> None:
        if self.every < 1 or self.keep < 1:
            raise CmgemsError("`every` and `keep` must be 1 or more")


def _sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint folder, or None if it is whole."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        for name, sha256 in manifest.items():
            if _sha256(folder / name) != sha256:
                return f"{name} does not match its checksum"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


class Checkpoints:
    """The checkpoints of one run, oldest to newest.

    Args:
        folder: Holds the ``step_*`` folders; made when the first is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Path]:
        """Checkpoint folders by step, not verified."""
        return [folder for _, folder in sorted(self._by_step().items())]

    def _by_step(self) -> dict[int, Path]:
        steps = {step_of(folder): folder for folder in self.folder.glob(f"{STEP_PREFIX}*")}
        return {step: folder for step, folder in steps.items() if step is not None}

    def path(self, step: int) -> Path:
        """The folder of a step's checkpoint."""
        return step_folder(self.folder, step)

    def save(self, step: int, write: Callable[[Path], None]) -> Path:
        """Save a checkpoint: ``write`` fills a folder that is then renamed to its final name.

        Raises:
            CmgemsError: if it cannot be written; earlier checkpoints stay, and of a full disk it names the newest.
        """
        final = self.path(step)
        shutil.rmtree(final, ignore_errors=True)  # a damaged one, or the resume would have started there
        try:
            with atomic_folder(final) as partial:
                write(partial)
                files = sorted(p.name for p in partial.iterdir())
                write_json(partial / MANIFEST, {name: _sha256(partial / name) for name in files})
        except DiskError as error:
            kept = self.all()
            why = f"{kept[-1].name} is whole" if kept else "there is no earlier checkpoint"
            raise DiskError(error.what, where=error.where, why=why, fix=error.fix) from error
        return final

    def newest(self) -> int | None:
        """Step of the newest whole checkpoint, None if there is none; damaged ones are skipped with a warning."""
        for leftover in self.folder.glob(f"{PARTIAL_PREFIX}*"):
            shutil.rmtree(leftover)
        for step, folder in sorted(self._by_step().items(), reverse=True):
            problem = damage(folder)
            if problem is None:
                return step
            print(f"warning: skipping damaged checkpoint {folder}: {problem}", file=sys.stderr)
        return None

    def best(self) -> int | None:
        """Step of the checkpoint with the lowest ``score`` in its ``training.json``; None if none has one."""
        scores: dict[int, float] = {}
        for step, folder in self._by_step().items():
            try:
                score = json.loads((folder / TRAINING_JSON).read_text()).get("score")
            except (OSError, ValueError):
                continue  # damaged: no candidate, and `newest` says so
            if score is not None and math.isfinite(score):
                scores[step] = score
        return min(scores, key=lambda step: scores[step], default=None)

    def retain(self, keep: int, also: int | None = None) -> None:
        """Delete all but the ``keep`` newest, and the one of step ``also``."""
        for folder in self.all()[:-keep]:
            if also is None or folder != self.path(also):
                shutil.rmtree(folder)
