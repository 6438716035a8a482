"""The metric log: JSONL always, TensorBoard and Weights & Biases on request, all fed the same records."""

from __future__ import annotations

import json
import math
import os
import sys
import uuid
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import yaml

from cmgems.errors import CmgemsError, disk_error, unreadable
from cmgems.extras import namesake
from cmgems.files import write_text
from cmgems.runs.layout import CONFIG, TENSORBOARD, WANDB


class Sink(Protocol):
    """Where records go."""

    def write(self, record: dict[str, Any]) -> None:
        """Take one record, a dict with its `step`."""
        ...

    def close(self) -> None:
        """Finish writing."""
        ...


class MetricLog:
    """Hands records to a JSONL file and whatever else is asked for.

    Args:
        path: The JSONL file, in the run folder.
        resume_step: Records of later steps are dropped: the run that wrote them was stopped after its last
            checkpoint, and will write them again.
        tensorboard: Also write TensorBoard events beside the file (extra `cmgems[tensorboard]`).
        wandb: Also log to Weights & Biases (extra `cmgems[wandb]`).
        active: False on ranks that do not write.

    Raises:
        CmgemsError: if one of the extras is missing, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        resume_step: int,
        tensorboard: bool = False,
        wandb: bool = False,
        *,
        active: bool = True,
    ) -> None:
        self._sinks: list[Sink] = []
        if not active:
            return
        self._sinks.append(JSONL(path, resume_step))
        if tensorboard:
            self._sinks.append(TensorBoard(path.parent, resume_step))
        if wandb:
            self._sinks.append(WandB(path.parent))

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; it must hold its `step`."""
        for sink in self._sinks:
            sink.write(record)

    def __enter__(self) -> MetricLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sink in self._sinks:
            sink.close()


class JSONL:
    """A record a line, each handed to the system before the next step."""

    def __init__(self, path: Path, resume_step: int) -> None:
        self._path = path
        if path.is_file():
            kept = [r for r in read_metric_log(path) if r["step"] <= resume_step]
            write_text(path, "".join(json.dumps(r) + "\n" for r in kept))
        try:
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise disk_error(error, path) from error

    def write(self, record: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self._path) from error

    def close(self) -> None:
        with suppress(OSError):  # what a full disk refused above; it has been reported
            self._file.close()


class TensorBoard:
    """Events in the folder `tensorboard` of the run."""

    def __init__(self, folder: Path, resume_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise _missing("TensorBoard", "tensorboard") from None
        self._writer = SummaryWriter(str(folder / TENSORBOARD), purge_step=resume_step + 1)

    def write(self, record: dict[str, Any]) -> None:
        for name, value in record.items():
            if name != "step" and isinstance(value, int | float):
                self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        self._writer.close()


class WandB:
    """A run in the project `cmgems`, under the run folder's name; the same one again after a restart.

    Online if `WANDB_API_KEY` is set or `WANDB_MODE` says so; otherwise it keeps everything in the folder `wandb` of the
    run, for `wandb sync`, so that a machine needs no network.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from wandb import Settings, errors, init
        except ImportError:
            raise _missing("Weights & Biases", "wandb") from None
        id_file, config_file = folder / WANDB / "id", folder / CONFIG
        if not id_file.is_file():
            write_text(id_file, uuid.uuid4().hex[:8])
        online = "online" if "WANDB_API_KEY" in os.environ else "offline"
        try:
            self._run = init(
                project=os.environ.get("WANDB_PROJECT", "cmgems"),
                name=folder.resolve().name,
                id=id_file.read_text(),
                resume="allow",
                dir=str(folder),
                config=yaml.safe_load(config_file.read_text()) if config_file.is_file() else None,
                mode=os.environ.get("WANDB_MODE", online),
                settings=Settings(silent=True),
            )
        except errors.Error as error:
            raise CmgemsError(
                "wandb does not start",
                where="log.wandb",
                why=str(error),
                fix="set WANDB_MODE=offline and sync later, or log.wandb=false",
            ) from error
        # Steps written again after a restart would be refused as wandb's own step.
        self._run.define_metric("*", step_metric="step")

    def write(self, record: dict[str, Any]) -> None:
        self._run.log(record)

    def close(self) -> None:
        self._run.finish()


def _missing(title: str, extra: str) -> CmgemsError:
    return CmgemsError(
        f"{title} is not installed",
        where=f"log.{extra}",
        why=namesake(extra),
        fix=f"pip install 'cmgems[{extra}]', or set log.{extra}=false",
    )


def read_metric_log(path: Path) -> list[dict[str, Any]]:
    """All whole records of a metric log; a last line cut short by a kill is left out, and a damaged one with a warning.

    Raises:
        CheckpointError: if the file cannot be read.
    """
    try:
        *lines, last = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise unreadable(error, path) from error
    records = [_record(line) for line in lines]
    damaged = [number for number, record in enumerate(records, 1) if record is None]
    if damaged:
        warnings.warn(
            f"{path}: damaged lines left out: {len(damaged)}, the first is line {damaged[0]}", stacklevel=2
        )
    return [record for record in [*records, _record(last)] if record is not None]


def _record(line: str) -> dict[str, Any] | None:
    """What one line of a metric log holds; None if it is no record."""
    with suppress(ValueError, RecursionError):
        record = json.loads(line)
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            return record
    return None


def perplexity(loss: float) -> float:
    """exp of a cross-entropy in nats, at most the largest float that JSON can hold."""
    return math.exp(min(loss, math.log(sys.float_info.max)))
