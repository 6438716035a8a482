"""Options that the commands share which use a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.problems import tell
from cmgems.files import is_stdout
from cmgems.reading import Invalid, skipped_path

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
SkipInvalid = Annotated[
    bool,
    typer.Option(
        "--skip-invalid", help="Leave out records that cannot be used, named in OUT.skipped.csv, and go on."
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Rows in a forward pass.")]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        min=0,
        help="Bases that windows of a long sequence share; half a window if left out.",
    ),
]


@contextmanager
def judged(skip_invalid: bool, out: Path) -> Iterator[Invalid]:
    """What judges the records of a command that writes ``out``: warnings and what was left out are told in lines."""
    invalid = Invalid("--skip-invalid", skip_invalid)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: tell(f"warning: {message}")
        yield invalid
    if is_stdout(out):
        for where, reason in invalid.skipped:
            tell(f"skipped: {where}: {reason}")
    elif line := invalid.report(skipped_path(out)):
        tell(line)
