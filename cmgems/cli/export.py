"""``cmgems export`` and ``cmgems import``: models as Hugging Face folders, and back."""

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
    """Write a trained model as a Hugging Face folder, which plain transformers loads if it knows the model family.

    Example: cmgems export runs/logo -o logo-hf
    """
    from cmgems.export import export_huggingface
    from cmgems.models import load_model
    from cmgems.plugins import load_plugins

    load_plugins(plugin or [])
    saved = load_model(checkpoint)
    export_huggingface(saved, out)
    typer.echo(f"wrote {out} from {saved.folder}")


def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Downloaded or exported folder, or OWNER/NAME on the Hugging Face Hub."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="New model folder to write.")],
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help="Registered tokenizer, if the folder does not say which."),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Read a published checkpoint (DNABERT, DNABERT-2, Nucleotide Transformer, ModernBERT) into a model folder.

    Example: cmgems import zhihan1996/DNA_bert_6 -o dnabert6
    """
    from cmgems.export import import_huggingface
    from cmgems.plugins import load_plugins

    load_plugins(plugin or [])
    saved = import_huggingface(source, out, tokenizer)
    for note in saved.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"wrote {out}: {saved.model_name}, {saved.head}, tokenizer {saved.tokenizer_name}")
