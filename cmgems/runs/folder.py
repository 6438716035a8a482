"""Opening a run folder: one run at a time, the resolved config beside its results, the same command resumes it."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml
from rich.console import Console
from rich.table import Table

from cmgems.config import config_dict, dump_config
from cmgems.distributed import World
from cmgems.errors import CmgemsError, disk_error
from cmgems.files import PARTIAL_PREFIX, atomic_folder, write_json, write_text
from cmgems.runs.layout import CONFIG, INFO_FILE, LOCK, METRIC_LOG, SUMMARY, WEIGHTS_FILE
from cmgems.runs.reader import RunReader
from cmgems.runs.summary import label

# Sections that change nothing that is computed: a run may go on with others.
FREE_SECTIONS = ("checkpoint", "log", "parallel", "trouble")


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
        if (self.folder / name).exists():
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
    """Print a title and a two-column table of labels and values."""
    print(title)
    table = Table("figure", "value")
    for key, value in summary.items():
        table.add_row(label(key), f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


def config_difference(out: Path, config: object, recipe: str | None = None) -> str:
    """How the config of the run in ``out`` differs, in words; "" if it does not, or if there is nothing to protect.

    A run that failed before its first checkpoint, for a mistake in its config say, has nothing to protect. A finished
    run has its summary, though its checkpoints may be gone.

    Args:
        out: A run folder, or what may become one.
        config: The config that it is wanted for.
        recipe: Its recipe, None for any.

    Raises:
        DataError: if the config there cannot be read.
    """
    there = RunReader(out)
    if not (out / CONFIG).is_file() or not (there.checkpoints.all() or (out / SUMMARY).is_file()):
        return ""
    wanted = {"recipe": recipe, **config_dict(config)}
    old = _decisive_lines({**there.config, "recipe": there.recipe if recipe is not None else None})
    new = _decisive_lines(wanted)
    if old == new:
        return ""
    for old_line, new_line in zip(old, new, strict=False):
        if old_line != new_line:
            return f"there it says {old_line.strip()!r}, here {new_line.strip()!r}"
    return "one of them has more lines"


def _decisive_lines(values: dict[str, Any]) -> list[str]:
    """A config as lines, without the sections that a run may change on its way."""
    kept = {key: value for key, value in values.items() if key not in FREE_SECTIONS}
    return yaml.safe_dump(kept, sort_keys=False, width=10_000).splitlines()


def share_folder(out: Path, config: object, recipe: str) -> None:
    """Make ``out`` a folder of many runs, for any number of processes at once; each run below is opened by itself.

    The config may change from call to call (more seeds, say): every run below checks its own.

    Raises:
        CmgemsError: if ``out`` holds something else, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (out / CONFIG).is_file() and any(out.iterdir()):
            raise _in_use(out)
    except OSError as error:
        raise disk_error(error, out) from error
    if (there := RunReader(out).recipe) not in (None, recipe):
        raise _in_use(out, f"it holds a run of the recipe {there}")
    write_text(out / CONFIG, dump_config(config, recipe))


def _in_use(out: Path, why: str = "it is not empty and not a run") -> CmgemsError:
    return CmgemsError("output folder in use", where=out, why=why, fix="choose another -o")


def _refuse_others(out: Path, config: object, recipe: str) -> None:
    """Raise if ``out`` holds something other than a run with this config."""
    if not (out / CONFIG).is_file() and any(path.name != LOCK for path in out.iterdir()):
        (out / LOCK).unlink()
        raise _in_use(out)
    if difference := config_difference(out, config, recipe):
        raise CmgemsError(
            "output folder in use",
            where=out,
            why=f"it holds a run with another config ({difference})",
            fix="choose another -o, or repeat that run's own command to resume it",
        )


@contextmanager
def open_run(out: Path, config: object, recipe: str, world: World | None = None) -> Iterator[Run]:
    """Open ``out`` for a run of ``recipe`` with ``config``: new, or the same run going on; by one run at a time.

    Raises:
        RunBusyError: if another run holds it.
        CmgemsError: if it holds a run with another config, or is no run folder.
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
        _lock(lock, out)
        _sweep(out)
        _refuse_others(out, config, recipe)
        write_text(out / CONFIG, dump_config(config, recipe))
        yield Run(out)


def _lock(file: IO[str], out: Path) -> None:
    """Hold the run folder ``out`` by a lock on a file in it; on a disk without locks, say so and go on."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunBusyError(
            "output folder in use", where=out, why="another run is writing there", fix="choose another -o"
        ) from None
    except OSError as error:
        why = (
            f"warning: this disk has no locks ({error.strerror}), so nothing stops a second run from writing"
        )
        print(f"{why} in {out}; start only one", file=sys.stderr)


def _sweep(out: Path) -> None:
    """Remove what a killed run was writing; this process holds the lock, so nothing else writes there."""
    for leftover in out.glob(f"{PARTIAL_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
