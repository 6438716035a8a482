"""What a command says at its end."""

from __future__ import annotations

from pathlib import Path

import typer


def wrote(out: Path, what: str) -> None:
    """Say what was written; on stderr if that was into stdout, where it would follow the result.

    Args:
        out: The output.
        what: What it holds; "" in a process that has written nothing.
    """
    from cmgems.files import is_stdout

    if what:
        typer.echo(f"{out}: {what}", err=is_stdout(out))
