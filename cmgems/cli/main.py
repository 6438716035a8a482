"""The command line: the Typer app, and ``main``, which turns every failure into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from cmgems import __version__
from cmgems.cli import (
    compare,
    demo,
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
    recipes,
    report,
    score,
    tokenizer,
    variants,
)
from cmgems.errors import EXIT_INTERRUPTED, EXIT_OURS, EXIT_USER, CmgemsError, ConfigError, disk_error

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

# The error for a wrong option or argument. Newer typers carry click inside and no longer depend on it.
_UsageError = cast(type[Exception], typer.BadParameter.__base__)


# What is the matter with a path, not with us.
_PATH_ERRORS = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EROFS)


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
        bool, typer.Option("--debug", help="Show the traceback of an error. May stand anywhere.")
    ] = False,
) -> None:
    """Pretrain and fine-tune gene transformers with PMI curriculum masking.

    Example: cmgems demo
    """


def main() -> None:
    """The entry point of the ``cmgems`` command."""
    launch.leave(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0, 2 for the user's mistake, 1 for ours, 130 on Ctrl-C."""
    debug = "--debug" in arguments
    command = typer.main.get_command(app)
    try:
        code = command.main(
            [argument for argument in arguments if argument != "--debug"],
            prog_name="cmgems",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as in `cmgems ls | head -1`; keep the exit from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug and not isinstance(error, _UsageError):
            import traceback

            traceback.print_exc()
        return _report(error)
    # Newer typers catch Ctrl-C themselves and return its code.
    if code == EXIT_INTERRUPTED:
        _print("interrupted")
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = disk_error(error, error.filename or "the output")
    if isinstance(error, OSError) and error.errno in _PATH_ERRORS and error.filename is not None:
        error = CmgemsError(
            "cannot use the path",
            where=error.filename,
            why=error.strerror or str(error),
            fix="check it and its permissions",
        )
    if isinstance(error, CmgemsError):
        for problem in error.problems if isinstance(error, ConfigError) else [error]:
            _print(f"error: {problem.line()}")
        return error.exit_code
    if isinstance(error, _UsageError):
        return _report_usage(error)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    _print(f"error: internal: {text}; run again with --debug and report it")
    return EXIT_OURS


def _report_usage(error: Any) -> int:
    context = error.ctx
    message = error.format_message().strip()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message)
        return EXIT_USER
    command = context.command_path if context is not None else "cmgems"
    _print(f"error: {' '.join(message.split()).rstrip('.')}; see {command} -h")
    return EXIT_USER


def _print(line: str) -> None:
    if not launch.tell_launcher(line):
        print(line, file=sys.stderr, flush=True)
