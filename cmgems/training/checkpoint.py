"""Checkpoints: one folder a step, written beside and renamed, with a manifest of checksums.

    checkpoints/step_00001000/
        model.safetensors, model.json   the model folder (cmgems.models)
        training.safetensors            optimizer moments and RNG states
        training.json                   step, data position, curriculum, whatever the recipe adds
        manifest.json                   sha256 of each file; its presence marks the checkpoint as whole

One flipped bit loads silently in most safetensors files, so the checksums are verified before a resume.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.files import PARTIAL_PREFIX, atomic_folder, write_bytes, write_json

MANIFEST = "manifest.json"
STEP_PREFIX = "step_"


@dataclass(frozen=True)
class CheckpointConfig:
    """When to save and what to keep.

    Attributes:
        every: Optimizer steps between checkpoints; the last step is always saved.
        keep: Newest checkpoints kept.
    """

    every: int = 1000
    keep: int = 2

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
        return sorted(self.folder.glob(f"{STEP_PREFIX}*"))

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step stands."""
        return self.folder / f"{STEP_PREFIX}{step:08d}"

    def save(self, step: int, write: Callable[[Path], None]) -> Path:
        """Save a checkpoint: ``write`` fills a folder that is then renamed to its final name.

        Raises:
            CmgemsError: if it cannot be written; earlier checkpoints stay.
        """
        final = self.path(step)
        shutil.rmtree(final, ignore_errors=True)  # a damaged one, or the resume would have started there
        with atomic_folder(final) as partial:
            write(partial)
            files = sorted(p.name for p in partial.iterdir())
            write_json(partial / MANIFEST, {name: _sha256(partial / name) for name in files})
        return final

    def newest(self) -> Path | None:
        """The newest whole checkpoint; damaged ones are skipped with a warning."""
        for leftover in self.folder.glob(f"{PARTIAL_PREFIX}*"):
            shutil.rmtree(leftover)
        for folder in reversed(self.all()):
            problem = damage(folder)
            if problem is None:
                return folder
            print(f"warning: skipping damaged checkpoint {folder}: {problem}", file=sys.stderr)
        return None

    def retain(self, keep: int, also: int | None = None) -> None:
        """Delete all but the ``keep`` newest, and the one of step ``also``."""
        for folder in self.all()[:-keep]:
            if also is None or folder != self.path(also):
                shutil.rmtree(folder)


def save_training_state(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Write optimizer, RNG and the recipe's JSON-able ``state`` into a checkpoint folder."""
    tensors: dict[str, torch.Tensor] = {"rng.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}.{key}"] = value.detach().cpu().contiguous()
    write_bytes(folder / "training.safetensors", save(tensors))
    write_json(folder / "training.json", state)


def load_training_state(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore :func:`save_training_state`; returns the recipe's ``state``.

    Raises:
        CheckpointError: if the optimizer state is of another model.
    """
    tensors = load_file(folder / "training.safetensors")
    for name, parameter in model.named_parameters():
        prefix = f"optimizer.{name}."
        found = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if not found:  # it has had no gradient yet
            continue
        if found["exp_avg"].shape != parameter.shape:
            raise CheckpointError(
                f"optimizer state of another shape for {name}", where=folder, fix="use another -o"
            )
        optimizer.state[parameter] = {
            # AdamW's fused kernel wants the step count beside the parameter.
            key: value.to(parameter.device)
            for key, value in found.items()
        }
    torch.set_rng_state(tensors["rng.cpu"])
    if torch.cuda.is_available() and "rng.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng.cuda"])
    state: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return state
