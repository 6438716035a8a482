"""One input on one reader: accepted with the right count, refused in words, or a finding."""

from __future__ import annotations

import hashlib
import signal
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from readers import Reader

from cmgems.errors import CmgemsError

SECONDS = 5  # of the processor, not of a clock: a reader of 2 kB that takes longer hangs
KEPT = 3  # inputs kept of each kind of finding


class Hang(BaseException):
    """The reader took too long."""


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hang("it took too long")


@dataclass(frozen=True)
class Verdict:
    """What a reader made of an input.

    Attributes:
        accepted: Whether it returned records.
        finding: What is wrong with that, "" if nothing.
        detail: More about it.
    """

    accepted: bool
    finding: str = ""
    detail: str = ""


def judge(
    reader: Reader, data: bytes, path: Path, records: int | None = None, seconds: float = SECONDS
) -> Verdict:
    """Write ``data`` to ``path`` and read it.

    Args:
        reader: The reader.
        data: The file.
        path: Where it is written.
        records: How many records it has; None if it may also be refused.
        seconds: After which it hangs.
    """
    path.write_bytes(data)
    signal.signal(signal.SIGPROF, _ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        found = reader.read(path)
        signal.setitimer(signal.ITIMER_PROF, 0)
    except CmgemsError as error:
        return Verdict(False) if records is None else Verdict(False, "a good file is refused", error.line())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of a library in Rust is no Exception
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
        return Verdict(False, kind, " ".join(str(error).split())[:300])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    try:
        counted = reader.count(data) if records is None else records
    except Exception as error:  # not a file of this kind at all
        return Verdict(True, "accepted what cannot be counted", f"{type(error).__name__}: {error}")
    return Verdict(True, "wrong count" if found != counted else "", f"{found} instead of {counted}")


def keep(folder: Path, reader: Reader, data: bytes, finding: str, detail: str) -> None:
    """Write a finding to ``folder/reader/kind``, the first few of a kind."""
    kind = folder / reader.name.replace(" ", "_") / "".join(c if c.isalnum() else "_" for c in finding)
    kind.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(data).hexdigest()[:12]
    if len(list(kind.iterdir())) < 2 * KEPT:
        (kind / f"{name}{reader.suffix}").write_bytes(data)
        with suppress(UnicodeEncodeError):
            (kind / f"{name}.txt").write_text(f"{finding}: {detail}\n")
