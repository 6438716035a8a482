"""Options that the commands share which read a labelled set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SetStore = Annotated[
    Path | None, typer.Option("--store", metavar="STORE", help="Genome store that the rows are intervals of.")
]
SetAliases = Annotated[
    Path | None, typer.Option("--aliases", metavar="FILE", help="Table of other names of its contigs.")
]
Window = Annotated[
    int | None,
    typer.Option("--window", metavar="BP", help="Widen or cut intervals to this around their middle."),
]
Sequence = Annotated[str, typer.Option("--sequence", metavar="COLUMN", help="Column of the bases.")]
SkipRows = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out rows that cannot be used, and name them.")
]
