"""The command line: the Typer app, and ``main``, which turns every failure into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cmgems import __version__
from cmgems.cli import (
    compare,
    demo,
    download,
    embed,
    explain,
    export,
    genome,
    info,
    labels,
    launch,
    mask,
    motifs,
    pmi,
    predict,
    problems,
    recipes,
    report,
    score,
    tokenizer,
    variants,
)
from cmgems.errors import EXIT_INTERRUPTED
from cmgems.process import outlive_readers, tidy_before_leaving

# Plain help: importing rich would double the time to start.
app = typer.Typer(
    name="cmgems",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    demo.demo,
    recipes.ls,
    recipes.cp,
    recipes.validate,
    recipes.run,
    compare.compare,
    predict.predict,
    embed.embed,
    score.score,
    variants.variants,
    explain.explain,
    motifs.motifs,
    report.report,
    export.export,
    download.download,
    info.info,
):
    app.command()(_command)
app.command("import")(export.import_)
for _name, _group in (
    ("genome", genome.app),
    ("pmi", pmi.app),
    ("mask", mask.app),
    ("tokenizer", tokenizer.app),
    ("labels", labels.app),
):
    app.add_typer(_group, name=_name)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cmgems {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; allowed anywhere.")
    ] = False,
) -> None:
    """Pretrain and fine-tune gene transformers with PMI curriculum masking.

    Example: cmgems demo
    """


def main() -> None:
    """The entry point of the ``cmgems`` command."""
    outlive_readers()
    if "RANK" not in os.environ:  # one of several may wait in C++ for another, where no handler runs
        tidy_before_leaving()
    try:
        code = run(sys.argv[1:])
    except SystemExit as stopped:
        if not isinstance(stopped.code, int):
            raise
        code = stopped.code  # of a run that was asked to stop
    launch.leave(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0, 2 for the user's mistake, 1 for ours, 130 on Ctrl-C."""
    debug = "--debug" in arguments
    words = [argument for argument in arguments if argument != "--debug"]
    command = typer.main.get_command(app)
    try:
        # Commands that start themselves in several processes find their words in the context.
        code = command.main(words, prog_name="cmgems", standalone_mode=False, obj=words)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except Exception as error:
        return problems.report(error, with_traceback=debug)
    # Newer typers catch Ctrl-C themselves and return its code.
    if code == EXIT_INTERRUPTED:
        problems.tell("interrupted")
    return code if isinstance(code, int) else 0
