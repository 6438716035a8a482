"""Options that the commands share which use a model."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cmgems.errors import CmgemsError
from cmgems.files import is_stdout
from cmgems.reading import Invalid, skipped_path

if TYPE_CHECKING:
    from cmgems.inference import Model

T = TypeVar("T")

ModelPath = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="Run folder, checkpoint, model folder, or exported Hugging Face folder."
    ),
]
SequencesPath = Annotated[
    Path,
    typer.Argument(
        metavar="SEQUENCES", help="FASTA, table with a column `sequence`, or BED of intervals in --store."
    ),
]
Store = Annotated[Path | None, typer.Option("--store", help="Genome store of a BED file.")]
Aliases = Annotated[
    Path | None,
    typer.Option(
        "--aliases",
        help="Table of other names of the contigs: NCBI's assembly report, or a column of each naming.",
    ),
]
Column = Annotated[str, typer.Option("--column", help="Column of a table that holds the sequences.")]
BothStrands = Annotated[
    bool, typer.Option("--both-strands", help="Read the other strand too, and take the mean; twice the work.")
]
SkipInvalid = Annotated[
    bool,
    typer.Option(
        "--skip-invalid", help="Leave out records that cannot be used, named in OUT.skipped.csv, and go on."
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap", min=0, help="Bases that windows of a long sequence share; half a window if left out."
    ),
]
BatchTokens = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens",
        min=1,
        help="Tokens in a forward pass, padding included [default: 5120 on a CPU, 65536 on a GPU].",
    ),
]
NProcPerNode = Annotated[
    int, typer.Option("--nproc-per-node", metavar="N", min=1, help="Processes on this machine, one a GPU.")
]


class Device(StrEnum):
    """Where the arithmetic runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    """How it is rounded."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


DeviceChoice = Annotated[Device, typer.Option("--device", help="auto: the GPU if there is one.")]
PrecisionChoice = Annotated[
    Precision, typer.Option("--precision", help="auto: fp32; on a GPU with matrix products in TF32.")
]


@contextmanager
def opened(
    model: Path,
    source: Path,
    out: Path,
    skip_invalid: bool,
    *,
    device: Device,
    precision: Precision,
    batch_tokens: int | None,
    overlap: int | None = None,
    plugins: Sequence[Path] | None,
) -> Iterator[tuple[Model, Invalid]]:
    """The model of a command that reads ``source`` and writes ``out``, and what judges its records; see ``judged``.

    Raises:
        CmgemsError: if both are the same file; as ``cmgems.load``.
    """
    from cmgems.api import load
    from cmgems.distributed import open_world

    if source.is_file() and out.is_file() and out.samefile(source):
        raise CmgemsError("the output is the input", where=out, fix="give another file with -o")
    with open_world() as world:
        loaded = load(
            model,
            device=device.value,
            precision=precision.value,
            batch_tokens=batch_tokens,
            overlap=overlap,
            plugins=plugins or [],
            world=world,
        )
        with judged(skip_invalid, out, told=world.is_main) as invalid:
            yield loaded, invalid


def write_once(model: Model, found: Iterable[T], write: Callable[[], str]) -> str:
    """What ``write`` says of the ``found`` that it writes; the other processes only take their share of the work."""
    if model.world.is_main:
        return write()
    deque(found, maxlen=0)
    return ""


@contextmanager
def judged(skip_invalid: bool, out: Path, *, told: bool = True) -> Iterator[Invalid]:
    """What judges the records of a command that writes ``out``: warnings and what was left out are told in lines."""
    invalid = Invalid("--skip-invalid", skip_invalid)

    def tell(line: str) -> None:
        typer.echo(line, err=True)  # now, also where a launcher tells of errors at the end

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: tell(f"warning: {message}") if told else None
        yield invalid
    if not told:
        return
    if is_stdout(out):
        for where, reason in invalid.skipped:
            tell(f"skipped: {where}: {reason}")
    elif line := invalid.report(skipped_path(out)):
        tell(line)
