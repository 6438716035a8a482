"""``cmgems export``: a trained model as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.recipes import Plugins


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Run folder, checkpoint or model folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder to write.")],
    plugin: Plugins = None,
) -> None:
    """Write a trained model as a folder that plain Hugging Face transformers loads.

    Example: cmgems export runs/logo -o logo-hf
    """
    from cmgems.export import export_huggingface
    from cmgems.models import load_model
    from cmgems.plugins import load_plugins

    load_plugins(plugin or [])
    saved = load_model(checkpoint)
    export_huggingface(saved, out)
    typer.echo(f"wrote {out} from {saved.folder}")
