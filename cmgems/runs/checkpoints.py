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

import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cmgems.errors import CheckpointError, CmgemsError, DiskError, unreadable
from cmgems.files import PARTIAL_PREFIX, atomic_folder, is_there, sha256_of, write_json
from cmgems.runs.layout import MANIFEST, TRAINING_JSON, step_folder, step_of


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

    free: ClassVar[bool] = True  # a run may go on with others

    every: int = 1000
    keep: int = 2
    keep_best: bool = False
    background: bool = False

    def __post_init__(self) -> None:
        if self.every < 1 or self.keep < 1:
            raise CmgemsError("`every` and `keep` must be 1 or more")


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint folder, or None if it is whole.

    Raises:
        CheckpointError: if a file that is there cannot be read: it may be whole, so nothing may take its place.
    """
    try:
        files = os.listdir(folder)
        if MANIFEST not in files:
            return f"no {MANIFEST}"
        for name, sha256 in json.loads((folder / MANIFEST).read_text()).items():
            if name not in files:
                return f"no {name}"
            if sha256_of(folder / name) != sha256:
                return f"{name} does not match its checksum"
    except OSError as error:
        raise unreadable(error, error.filename or folder) from error
    except (ValueError, AttributeError) as error:
        return f"{MANIFEST} is damaged ({error})"
    return None


class Checkpoints:
    """The checkpoints of one run, oldest to newest.

    Args:
        folder: Holds the ``step_*`` folders; made when the first is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._damaged: set[int] = set()

    def all(self) -> list[Path]:
        """Checkpoint folders by step, not verified.

        Raises:
            CheckpointError: if the folder cannot be read.
        """
        return [folder for _, folder in sorted(self._by_step().items())]

    def _by_step(self) -> dict[int, Path]:
        if not is_there(self.folder):
            return {}
        try:
            folders = [
                self.folder / name for name in os.listdir(self.folder)
            ]  # glob would take an error for nothing
        except OSError as error:
            raise unreadable(error, self.folder) from error
        steps = {step_of(folder): folder for folder in folders}
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
        try:
            # What is there is damaged, or the resume would have started there; yet it stays until the new one is whole.
            with atomic_folder(final, replace=is_there(final)) as partial:
                write(partial)
                files = sorted(p.name for p in partial.iterdir())
                write_json(partial / MANIFEST, {name: sha256_of(partial / name) for name in files})
        except DiskError as error:
            kept = [
                path.name for number, path in sorted(self._by_step().items()) if number not in self._damaged
            ]
            why = f"{kept[-1]} is whole" if kept else "there is no earlier checkpoint"
            raise DiskError(error.what, where=error.where, why=why, fix=error.fix) from error
        self._damaged.discard(step)
        return final

    def newest(self) -> int | None:
        """Step of the newest whole checkpoint, None if there are none; damaged ones are skipped with a warning.

        Raises:
            CheckpointError: if there are some and none is whole, or one cannot be read. No file is touched then.
        """
        problems = {}
        for step, folder in sorted(self._by_step().items(), reverse=True):
            problem = damage(folder)
            if problem is None:
                break
            problems[step] = f"{folder}: {problem}"
        else:
            if problems:
                raise _unusable("no checkpoint can be used", self.folder, next(iter(problems.values())))
            step = None
        for problem in problems.values():
            print(f"warning: skipping damaged checkpoint {problem}", file=sys.stderr)
        self._damaged.update(problems)
        for leftover in self.folder.glob(f"{PARTIAL_PREFIX}*"):
            shutil.rmtree(leftover)
        return step

    def whole(self, step: int) -> Path:
        """The folder of a step's checkpoint, verified.

        Raises:
            CheckpointError: if it is damaged or cannot be read.
        """
        folder = self.path(step)
        problem = damage(folder)
        if problem is not None:
            raise _unusable("damaged checkpoint", folder, problem)
        return folder

    def best(self) -> int | None:
        """Step of the checkpoint with the lowest ``score`` in its ``training.json``; None if none has one."""
        scores: dict[int, float] = {}
        for step, folder in self._by_step().items():
            if not is_there(folder / TRAINING_JSON):
                continue  # damaged: no candidate
            try:
                score = json.loads((folder / TRAINING_JSON).read_text()).get("score")
            except OSError as error:
                raise unreadable(error, folder / TRAINING_JSON) from error
            except (ValueError, AttributeError):
                continue
            if score is not None and math.isfinite(score):
                scores[step] = score
        return min(scores, key=lambda step: scores[step], default=None)

    def retain(self, keep: int, also: int | None = None) -> None:
        """Delete all but the ``keep`` newest whole ones, and the one of step ``also``.

        Damaged ones later than those, over which the run has not come yet, stay: they count for nothing.
        """
        found = self._by_step()
        whole = sorted(step for step in found if step not in self._damaged)
        for step, folder in found.items():
            if step < whole[-1] and step not in (*whole[-keep:], also):
                shutil.rmtree(folder)


def _unusable(what: str, where: Path, why: str) -> CheckpointError:
    fix = "restore it from a copy, choose another -o, or remove the run folder to begin anew"
    return CheckpointError(what, where=where, why=why, fix=fix)
