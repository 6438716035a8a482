"""The metrics log: JSONL always, TensorBoard on request."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from cmgems.errors import CmgemsError, disk_error
from cmgems.files import write_text


class MetricsLog:
    """Appends records to a JSONL file, each on disk before the next step.

    Args:
        path: The JSONL file.
        resume_step: Records of later steps are dropped: the run that wrote them was stopped after its last
            checkpoint, and will write them again.
        tensorboard: Also write TensorBoard events beside the file (extra `cmgems[tensorboard]`).
        active: False on ranks that do not write.
    """

    def __init__(
        self, path: Path, resume_step: int, tensorboard: bool = False, *, active: bool = True
    ) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._writer: Any = None
        if not active:
            return
        if path.is_file():
            kept = [r for r in read_metrics(path) if r["step"] <= resume_step]
            write_text(path, "".join(json.dumps(r) + "\n" for r in kept))
        self._file = open(path, "a")  # noqa: SIM115 - closed by __exit__
        self._writer = _tensorboard_writer(path.parent, resume_step) if tensorboard else None

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; it must hold its `step`."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self._path) from error
        if self._writer is not None:
            for name, value in record.items():
                if name != "step" and isinstance(value, int | float):
                    self._writer.add_scalar(name, value, record["step"])

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._writer is not None:
            self._writer.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole records of a metrics file; a last line cut short by a kill is left out."""
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _tensorboard_writer(folder: Path, resume_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise CmgemsError(
            "TensorBoard is not installed",
            where="log.tensorboard",
            fix="pip install 'cmgems[tensorboard]', or set log.tensorboard=false",
        ) from None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=resume_step + 1)
