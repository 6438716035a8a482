"""Runs as a report reads them: from their folders, also while they run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmgems.errors import DataError
from cmgems.runs.health import Health
from cmgems.runs.layout import CONFIG, INNER, METRIC_LOG
from cmgems.runs.reader import RunReader, setting

Floats = npt.NDArray[np.float64]

# What recipes of many runs write about those below.
RESULTS = {"evaluate": "results.json", "compare": "comparison.json"}


@dataclass(frozen=True)
class LoggedRun:
    """What a run left in its folder.

    Attributes:
        folder: Where.
        name: What the report calls it.
        config: The resolved config; empty if there is none.
        records: Of `metrics.jsonl`, in the order written.
        summary: Of `summary.json`; empty while the run goes on.
        baselines: What its validation gives away without a model; empty if it was not recorded.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    records: list[dict[str, Any]]
    summary: dict[str, Any]
    baselines: dict[str, Any] = field(default_factory=dict)

    @property
    def health(self) -> Health | None:
        """Its last validation beside the baselines; None if either was not recorded."""
        last: dict[str, Any] = next((r for r in reversed(self.records) if "validation_loss" in r), {})
        return Health.of(last.get("validation_loss"), last.get("validation_accuracy"), self.baselines)

    @property
    def pretraining(self) -> bool:
        """Whether it is a pretraining run, not a fine-tuning run."""
        return any("strategy" in record or "validation_loss" in record for record in self.records)

    def series(self, key: str) -> tuple[Floats, Floats]:
        """The steps that have a number under ``key``, and the numbers; undefined ones are left out."""
        found = [(r["step"], r[key]) for r in self.records if isinstance(r.get(key), int | float)]
        steps, values = np.array(found, np.float64).reshape(-1, 2).T
        known = np.isfinite(values)
        return steps[known], values[known]

    def texts(self, key: str) -> list[tuple[int, str]]:
        """(step, text) of the records that have a text under ``key``."""
        return [(r["step"], r[key]) for r in self.records if isinstance(r.get(key), str)]

    def setting(self, dotted: str) -> Any:
        """A value of the config by its dotted key (``cmgems.runs.reader.setting``)."""
        return setting(self.config, dotted)


@dataclass(frozen=True)
class Found:
    """What was found in the folders given.

    Attributes:
        runs: Runs with at least one record.
        evaluations: Folders of evaluations and comparisons with results.
        empty: Runs that have not written a record yet.
    """

    runs: list[LoggedRun]
    evaluations: list[Path]
    empty: list[Path]


def find_runs(paths: Sequence[Path]) -> Found:
    """The runs in the folders ``paths``, or anywhere below them.

    Raises:
        DataError: if a folder has no run, a named run has no records yet, or one cannot be read.
    """
    folders: list[Path] = []
    for path in paths:
        below = list(_below(path))
        if not below:
            absent = "it is not a folder" if path.exists() else "no such folder"
            raise DataError(
                "no run",
                where=path,
                why=f"no {METRIC_LOG} or {CONFIG} there or below" if path.is_dir() else absent,
                fix="give the -o folder of `cmgems run`",
            )
        folders += [folder for folder in below if folder not in folders]
    evaluations = [folder for folder in folders if _has_results(folder)]
    others = [folder for folder in folders if folder not in evaluations]
    read = [_read(folder, name) for folder, name in zip(others, _names(others), strict=True)]
    # The results of an evaluation include the fine-tuning runs below it.
    runs = [
        run
        for run in read
        if run.pretraining or not any(above in run.folder.parents for above in evaluations)
    ]
    empty = [run.folder for run in runs if not run.records]
    named = [folder for folder in empty if folder in paths]
    if named or (empty and len(empty) == len(folders)):
        raise DataError(
            "no records yet",
            where=(named or empty)[0] / METRIC_LOG,
            why="the run has not logged a step",
            fix="wait for its first line, or lower log.every",
        )
    return Found([run for run in runs if run.records], evaluations, empty)


def _has_results(folder: Path) -> bool:
    """Whether ``folder`` has the results of an evaluation or a comparison."""
    name = RESULTS.get(RunReader(folder).recipe or "")
    return name is not None and (folder / name).is_file()


def _below(folder: Path) -> Iterator[Path]:
    """``folder`` if it is a run, else the runs and evaluations in it and below, in order of their names."""
    run = RunReader(folder)
    single = run.is_run and run.recipe not in RESULTS
    if single or _has_results(folder):
        yield folder
    if folder.is_dir() and not single:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and child.name not in INNER and not child.name.startswith("."):
                yield from _below(child)


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names; where two are equal, their paths below what all have in common."""
    full = [folder.resolve() for folder in folders]
    short = [folder.name for folder in full]
    if len(set(short)) == len(short):
        return short
    common = os.path.commonpath(full)
    return [str(folder.relative_to(common)) for folder in full]


def _read(folder: Path, name: str) -> LoggedRun:
    run = RunReader(folder)
    return LoggedRun(folder, name, run.config, run.records, run.summary or {}, run.baselines)
