"""``cmgems report``: a page about runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.outcome import wrote
from cmgems.cli.recipes import Plugins


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders that hold some.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path("report.html"),
    plugin: Plugins = None,
) -> None:
    """Write one web page about runs: curves, masks, the embedding, scores. Runs may be unfinished.

    Example: cmgems report runs/logo runs/ft -o report.html
    """
    from cmgems.plugins import load_plugins
    from cmgems.report.runs import write_report

    load_plugins(plugin or [])
    about = write_report(runs, out)
    wrote(out, f"{about}, {out.stat().st_size / 1e6:.1f} MB")
