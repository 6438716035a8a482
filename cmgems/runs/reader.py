"""What a run has left in its folder, finished or still going. Everything that reads a run reads it here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from cmgems.errors import CheckpointError
from cmgems.files import is_there
from cmgems.runs.checkpoints import Checkpoints
from cmgems.runs.layout import BASELINES, BEST, CHECKPOINTS, CONFIG, FINAL, INPUTS, METRIC_LOG, SUMMARY
from cmgems.runs.metric_log import read_metric_log


@dataclass(frozen=True)
class RunReader:
    """A run folder to read from. Each file is read once, when it is first asked for.

    Attributes:
        folder: The run folder.

    Raises:
        CheckpointError: by every property, if its file is there and cannot be read.
    """

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config as plain values, with the recipe's name under ``recipe``; empty if there is none."""
        return self._mapping(CONFIG, yaml.safe_load) or {}

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """What the inputs held when the run began, as ``cmgems.config.contents``; empty if it was not recorded."""
        return self._mapping(INPUTS, json.loads) or {}

    @cached_property
    def summary(self) -> dict[str, Any] | None:
        """The figures of a finished run (``cmgems.runs.summary``); None while it goes on."""
        return self._mapping(SUMMARY, json.loads)

    @cached_property
    def baselines(self) -> dict[str, Any]:
        """What its validation gives away without a model, as ``cmgems.runs.health`` reads it; empty if not recorded."""
        return self._mapping(BASELINES, json.loads) or {}

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The records of the metric log that have a ``step``, in the order written; none if there is no log."""
        path = self.folder / METRIC_LOG
        return read_metric_log(path) if is_there(path) else []

    @property
    def recipe(self) -> str | None:
        """The recipe that wrote the folder; None if the config does not say."""
        name = self.config.get("recipe")
        return None if name is None else str(name)

    @property
    def is_run(self) -> bool:
        """Whether the folder holds a config or a metric log."""
        return any(is_there(self.folder / name) for name in (CONFIG, METRIC_LOG))

    @property
    def checkpoints(self) -> Checkpoints:
        """Its checkpoints, whole or not."""
        return Checkpoints(self.folder / CHECKPOINTS)

    @property
    def model_folders(self) -> list[Path]:
        """Where its model may be, the best choice first: ``best``, ``final``, then checkpoints, the newest first."""
        return [self.folder / BEST, self.folder / FINAL, *reversed(self.checkpoints.all())]

    def setting(self, dotted: str) -> Any:
        """A value of the config by its dotted key, as ``setting``."""
        return setting(self.config, dotted)

    def _mapping(self, name: str, parse: Callable[[str], Any]) -> dict[str, Any] | None:
        path = self.folder / name
        if not is_there(path):
            return None
        try:
            values = parse(path.read_text())
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise _unreadable(path, error) from error
        if not isinstance(values, dict):
            raise CheckpointError(
                "not a run",
                where=path,
                why="the file holds no mapping",
                fix="restore it, or choose another -o",
            )
        return values


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    fix = "restore the file, or choose another -o"
    return CheckpointError("cannot read the run", where=path, why=str(error), fix=fix)


def setting(config: dict[str, Any], dotted: str) -> Any:
    """A value of a config by its dotted key, ``optim.lr``; None if it is not there. A component is its name."""
    value: Any = config
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value["name"] if isinstance(value, dict) and "name" in value else value
