"""``cmgems download``: genomes and labelled sets from the archives that publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", help="What to load, or OWNER/NAME of a data set on the Hugging Face Hub."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where it goes.")] = Path(),
) -> None:
    """Load genomes and labelled sets, checked, and resumed where it broke off; without names, list them.

    Example: cmgems download hg38 gue -o data
    """
    from cmgems.download.archives import find, known
    from cmgems.progress import human

    if not names:
        for name, title in known().items():
            typer.echo(f"{name:<10} {title}")
        return
    found = [find(name, out) for name in names]
    for one in found:
        size = "of unknown size" if one.size is None else f"{human(one.size)}B"
        typer.echo(f"{one.target}: {one.title}, {size}", err=True)
    for one in found:
        one.load()
        typer.echo(f"wrote {one.target}")
