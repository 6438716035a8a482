"""Options that the commands share which use a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelPath = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="Run folder, checkpoint, model folder, or exported Hugging Face folder."
    ),
]
SequencesPath = Annotated[
    Path,
    typer.Argument(
        metavar="SEQUENCES", help="FASTA, CSV with a column `sequence`, or BED of intervals in --store."
    ),
]
Store = Annotated[Path | None, typer.Option("--store", help="Genome store of a BED file.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Rows in a forward pass.")]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        min=0,
        help="Bases that windows of a long sequence share; half a window if left out.",
    ),
]
