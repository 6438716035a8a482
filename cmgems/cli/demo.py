"""``cmgems demo``: the whole journey on a synthetic genome, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything it makes.")] = Path(
        "cmgems-demo"
    ),
) -> None:
    """Simulate a genome, rank its k-mers, pretrain, fine-tune, predict and export: one to two minutes on 2 cores.

    Example: cmgems demo -o demo
    """
    import shlex

    from cmgems.demo import Journey

    journey, cmgems = Journey(out), context.find_root().command
    typer.echo("This genome is synthetic: no organism has it, and no figure below says anything about one.")
    journey.simulate()
    for words in journey.commands():
        typer.secho(f"\n$ cmgems {shlex.join(words)}", bold=True)
        if code := cmgems.main(list(words), prog_name="cmgems", standalone_mode=False):
            raise typer.Exit(code)
        if words[0] == "predict":
            typer.echo(journey.predictions.read_text())
    typer.echo(f"\n{journey.result()}")
