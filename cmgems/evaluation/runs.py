"""Fine-tuning runs of an evaluation: which there are, and one of them from its data set to its scores."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cmgems.config import load_config
from cmgems.data import count_draws
from cmgems.data.label_files import find_split
from cmgems.errors import CheckpointError
from cmgems.evaluation.benchmarks import Dataset
from cmgems.recipes import Recipe
from cmgems.runs import RunReader
from cmgems.runs.folder import config_difference
from cmgems.runs.layout import BEST, CHECKPOINTS, SUMMARY
from cmgems.runs.summary import LEAKED, metric_key

Record = dict[str, Any]


@dataclass(frozen=True)
class Repeat:
    """One of the runs on a data set.

    Attributes:
        seed: Decides the head's weights and the order, and the few-shot draw if none is published.
        draw: Which published draw; None where there are none.
    """

    seed: int
    draw: int | None = None

    @property
    def name(self) -> str:
        """'seed0', 'draw3-seed0'."""
        return f"seed{self.seed}" if self.draw is None else f"draw{self.draw}-seed{self.seed}"


def repeats(dataset: Dataset, seeds: int, draws: int) -> list[Repeat]:
    """The runs on a data set.

    A whole set is run with each of ``seeds`` seeds. Of published draws the first ``draws`` are, as many as there are,
    with each seed; ours are drawn by the seed, so there are ``draws`` runs.

    Raises:
        DataError: if the file of published draws is bad.
    """
    if dataset.shots is None:
        return [Repeat(seed) for seed in range(seeds)]
    if not dataset.drawn:
        return [Repeat(seed) for seed in range(draws)]
    return [Repeat(seed, draw) for draw in range(min(draws, draws_there(dataset))) for seed in range(seeds)]


def draws_there(dataset: Dataset) -> int:
    """How many published draws its training file holds.

    Raises:
        DataError: if it does not hold whole draws.
    """
    path = find_split(dataset.folder, "train")
    assert path is not None  # or it would not have been found to hold draws
    assert dataset.shots is not None
    return count_draws(path, dataset.shots)


def run_config(
    recipe: Recipe,
    dataset: Dataset,
    source: Sequence[str],
    repeat: Repeat,
    out: Path,
    overrides: Sequence[str] = (),
) -> Any:
    """The recipe's config for one run; arguments as for :func:`run_task`.

    Raises:
        ConfigError: if the recipe refuses a value.
        CheckpointError: if ``out`` holds a run with another config.
    """
    own = [*dataset.overrides(), *source, f"seed={repeat.seed}"]
    if repeat.draw is not None:
        own.append(f"data.draw={repeat.draw}")
    config = load_config(recipe.config_schema, None, [*own, *overrides])
    if difference := config_difference(out, config):
        raise CheckpointError("run with another config", where=out, why=difference, fix="choose another -o")
    return config


def run_task(
    recipe: Recipe,
    dataset: Dataset,
    source: Sequence[str],
    repeat: Repeat,
    out: Path,
    overrides: Sequence[str] = (),
    *,
    keep_model: bool = False,
) -> Record:
    """Fine-tune and score once, going on with what ``out`` holds; a finished run is only read.

    What the recipe prints to stdout, its table of the summary, is dropped.

    Args:
        recipe: ``finetune``, or an edited copy of it.
        dataset: What on.
        source: ``key=value`` that say what to start from (``cmgems.evaluation.settings.source_overrides``).
        repeat: Seed and draw.
        out: The run folder.
        overrides: More ``key=value``; they win over the data set's.
        keep_model: Keep weights and checkpoints when it has finished.

    Returns:
        ``dataset``, ``shots``, ``draw``, ``seed``, ``metric`` and the run's ``summary``, JSON values.

    Raises:
        CheckpointError: if ``out`` holds a run with another config, or ``source`` names a damaged model.
        CmgemsError: as the recipe does, DataError for the data set.
    """
    config = run_config(recipe, dataset, source, repeat, out, overrides)
    torch.compiler.reset()  # graphs of the run before would count against the limit of this one
    with redirect_stdout(io.StringIO()):
        recipe.main(config, out)
    record = read_record(dataset, repeat, out)
    if record is None:
        raise CheckpointError(f"no {SUMMARY}", where=out, fix=f"let {recipe.path} call run.finish at its end")
    if not keep_model:
        for folder in (CHECKPOINTS, BEST):
            shutil.rmtree(out / folder, ignore_errors=True)
    return record


def read_record(dataset: Dataset, repeat: Repeat, out: Path) -> Record | None:
    """What :func:`run_task` has returned, or None if the run in ``out`` has not finished."""
    summary = RunReader(out).summary
    if summary is None:
        return None
    return {
        "dataset": dataset.name,
        "shots": dataset.shots,
        "draw": repeat.draw,
        "seed": repeat.seed,
        "metric": dataset.metric,
        "summary": {key: _json_value(value) for key, value in summary.items()},
    }


def score_of(record: Record, metric: str, *, clean: bool = False) -> float:
    """A score of a run's test set, NaN if it is undefined or missing.

    Args:
        record: From :func:`run_task`.
        metric: "mcc".
        clean: Of the test rows that are not in train.
    """
    summary = record["summary"]
    value = summary.get(metric_key(metric, clean=clean and bool(summary.get(LEAKED))))
    return math.nan if value is None else float(value)


def _json_value(value: Any) -> Any:
    """NaN has no place in JSON."""
    return None if isinstance(value, float) and math.isnan(value) else value
