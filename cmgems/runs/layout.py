"""Names of the files of a run, of its checkpoints and of a model folder: the one place that has them.

runs/logo/
    config.yaml        the resolved config
    inputs.json        sha256 of the inputs that the config names
    baselines.json     what the validation of pretraining gives away without a model
    metrics.jsonl      one record a line
    checkpoints/       one folder a step
    final/ or best/    the model folder at the end
    skipped.csv        records left out, if any were
    summary.json       the figures at the end
"""

from __future__ import annotations

from pathlib import Path

CONFIG = "config.yaml"
INPUTS = "inputs.json"
BASELINES = "baselines.json"
LOCK = ".lock"
METRIC_LOG = "metrics.jsonl"
SUMMARY = "summary.json"
SKIPPED = "skipped.csv"
LOSS_PLOT = "loss.png"
TENSORBOARD, WANDB = "tensorboard", "wandb"
BAD_BATCHES = "bad_batch"
PROFILE_TRACE, PROFILE_TABLE = "profile.json.gz", "profile.txt"

CHECKPOINTS = "checkpoints"
STEP_PREFIX = "step_"
MANIFEST = "manifest.json"
TRAINING_JSON = "training.json"
TRAINING_FILE = "training.safetensors"

# A model folder, and the names of those that a finished run leaves.
WEIGHTS_FILE = "model.safetensors"
INFO_FILE = "model.json"
FINAL, BEST = "final", "best"
# Folders of a run that hold no runs.
INNER = (CHECKPOINTS, FINAL, BEST, TENSORBOARD, WANDB, BAD_BATCHES)


def step_folder(checkpoints: Path, step: int) -> Path:
    """The checkpoint of a step: ``step_00001000``."""
    return checkpoints / f"{STEP_PREFIX}{step:08d}"


def step_of(folder: Path) -> int | None:
    """The step of a checkpoint folder; None if its name gives none."""
    digits = folder.name.removeprefix(STEP_PREFIX)
    return int(digits) if digits != folder.name and digits.isdecimal() else None
