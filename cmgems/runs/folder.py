"""Opening a run folder: one run at a time, the resolved config beside its results, the same command resumes it."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from cmgems.config import Content, changed_inputs, config_difference, contents, dump_config
from cmgems.distributed import World
from cmgems.errors import CheckpointError, CmgemsError, disk_error
from cmgems.files import PARTIAL_PREFIX, atomic_folder, is_there, write_json, write_text
from cmgems.recipes import Recipe
from cmgems.runs.health import Health
from cmgems.runs.layout import CONFIG, INFO_FILE, INPUTS, LOCK, METRIC_LOG, SUMMARY, WEIGHTS_FILE
from cmgems.runs.reader import RunReader
from cmgems.runs.summary import BASELINES, VALIDATION_ACCURACY, VALIDATION_LOSS, label


class RunBusyError(CmgemsError):
    """Another process is working on this run."""


@dataclass(frozen=True)
class Run(RunReader):
    """A run folder opened for writing, by ``open_run``."""

    @property
    def metrics_path(self) -> Path:
        """The metric log."""
        return self.folder / METRIC_LOG

    def keep_model(self, checkpoint: Path, name: str) -> None:
        """Copy a checkpoint's model files to ``name`` in the run folder, where the other commands look first."""
        if is_there(self.folder / name):
            return
        with atomic_folder(self.folder / name) as partial:
            for file in (WEIGHTS_FILE, INFO_FILE):
                shutil.copyfile(checkpoint / file, partial / file)

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the summary; `cmgems run` shows it when the recipe returns.

        Args:
            summary: JSON values by key; ``cmgems.runs.summary`` has the keys that other commands read.
        """
        write_json(self.folder / SUMMARY, summary)


def show_summary(title: str, summary: dict[str, Any]) -> None:
    """Print a title and a two-column table of labels and values; of pretraining, how well it guesses as well."""
    print(title)
    table = Table("figure", "value")
    for key, value in summary.items():
        if key != BASELINES:
            table.add_row(label(key), _shown(value))
    Console().print(table)
    found = (summary.get(key) for key in (VALIDATION_LOSS, VALIDATION_ACCURACY, BASELINES))
    if (health := Health.of(*found)) is not None:
        _show_health(health)


def _shown(value: Any) -> str:
    """A figure for people."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)


def _show_health(health: Health) -> None:
    table = Table("guesses under the fixed mask", "loss (nats)", "right (%)")
    remarked = any(remark for *_, remark in health.rows)
    if remarked:
        table.add_column("remark")
    for name, loss, accuracy, remark in health.rows:
        figures = ["" if loss is None else f"{loss:.4f}", "" if accuracy is None else f"{100 * accuracy:.1f}"]
        table.add_row(name, *figures, *([remark] if remarked else []))
    Console().print(table)
    print(health.in_words())


def check_same(out: Path, config: object, recipe: str | None = None) -> dict[str, Content]:
    """Refuse a run that would mix with another: that has other settings or inputs than the one in ``out``.

    A run that failed before its first checkpoint, for a mistake in its config say, has nothing to protect. A finished
    run has its summary, though its checkpoints may be gone.

    Args:
        out: A run folder, or what may become one.
        config: The config that it is wanted for.
        recipe: Its recipe, None for any.

    Returns:
        What the inputs of the run hold, as far as it is known.

    Raises:
        CheckpointError: if they differ, or the run there cannot be read.
    """
    now, there = contents(config), RunReader(out)
    if not is_there(out / CONFIG) or not (there.checkpoints.all() or is_there(out / SUMMARY)):
        return now
    before = there.inputs  # none of a run made before version 0.3
    _check_inputs(out, before, now)
    settings = {key: value for key, value in there.config.items() if key != "recipe"}
    difference = config_difference(config, settings, before.keys() & now.keys())
    if recipe not in (None, there.recipe):
        difference = f"`recipe` is {there.recipe} there, {recipe} here"
    if difference:
        raise CheckpointError(
            "output folder in use",
            where=out,
            why=f"it holds a run with another config: {difference}",
            fix="choose another -o, or repeat that run's own command to resume it",
        )
    return before | now


def _check_inputs(out: Path, before: Mapping[str, Content], now: Mapping[str, Content]) -> None:
    if changed := changed_inputs(before, now):
        raise CheckpointError(
            "inputs have changed",
            where=out,
            why=f"this run began with other contents of {' and '.join(changed)}",
            fix="bring those back, or choose another -o",
        )


def share_folder(out: Path, config: object, recipe: str, recipes: Mapping[str, Recipe] | None = None) -> None:
    """Make ``out`` a folder of many runs, for any number of processes at once; each run below is opened by itself.

    The config may change from call to call (more seeds, say): every run below checks its own. The recipes may not, for
    nothing else tells whose scores are there.

    Args:
        out: The folder.
        config: Of the recipe that has the runs made.
        recipe: The name of that.
        recipes: Those of the runs, by the keys that name them; None if there are none to compare.

    Raises:
        CheckpointError: if the runs in ``out`` are of other recipes.
        CmgemsError: if ``out`` holds something else, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        # In this order: another process writes the config before anything else.
        if any(map(_is_foreign, out.iterdir())) and not is_there(out / CONFIG):
            raise _in_use(out)
    except OSError as error:
        raise disk_error(error, out) from error
    there = RunReader(out)
    if there.recipe not in (None, recipe):
        raise _in_use(out, f"it holds a run of the recipe {there.recipe}")
    inputs = {key: made_by.content for key, made_by in (recipes or {}).items()}
    _check_inputs(out, there.inputs, inputs)
    write_text(out / CONFIG, dump_config(config, recipe))
    write_json(out / INPUTS, there.inputs | inputs)


def _in_use(out: Path, why: str = "it is not empty and not a run") -> CmgemsError:
    return CmgemsError("output folder in use", where=out, why=why, fix="choose another -o")


@contextmanager
def open_run(out: Path, config: object, recipe: str, world: World | None = None) -> Iterator[Run]:
    """Open ``out`` for a run of ``recipe`` with ``config``: new, or the same run going on; by one run at a time.

    Raises:
        RunBusyError: if another run holds it.
        CmgemsError: if it holds a run with another config or other inputs, or is no run folder.
    """
    if world is not None and not world.is_main:
        yield Run(out)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = open(out / LOCK, "w", encoding="utf-8")  # noqa: SIM115 - held until the run ends
    except OSError as error:
        raise disk_error(error, out) from error
    with lock:
        alone = _lock(lock, out)
        if not is_there(out / CONFIG) and any(_is_foreign(path) for path in out.iterdir()):
            (out / LOCK).unlink()
            raise _in_use(out)
        inputs = check_same(out, config, recipe)
        if alone:
            _sweep(out)
        write_json(out / INPUTS, inputs)
        write_text(out / CONFIG, dump_config(config, recipe))
        yield Run(out)


def _lock(file: IO[str], out: Path) -> bool:
    """Hold the run folder ``out`` by a lock on a file in it; on a disk without locks, say so and return False."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunBusyError(
            "output folder in use", where=out, why="another run is writing there", fix="choose another -o"
        ) from None
    except OSError as error:
        why = f"this disk has no locks ({error.strerror}), so nothing stops a second run from writing"
        print(f"warning: {why} in {out}; start only one", file=sys.stderr)
        return False
    return True


def _is_foreign(path: Path) -> bool:
    """Whether a file in a folder without a config is no trace of a run that was killed as it began."""
    return path.name not in (LOCK, INPUTS) and not path.name.startswith(PARTIAL_PREFIX)


def _sweep(out: Path) -> None:
    """Remove what a killed run was writing; this process holds the lock, so nothing else writes there."""
    for leftover in out.glob(f"{PARTIAL_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
