"""``cmgems embed``: sequences or tokens as vectors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.inference import (
    Aliases,
    BatchSize,
    Column,
    ModelPath,
    Overlap,
    SequencesPath,
    SkipInvalid,
    Store,
    judged,
)
from cmgems.cli.outcome import wrote
from cmgems.cli.recipes import Plugins


class Pooling(StrEnum):
    """What becomes of the vectors of a sequence's tokens."""

    mean = "mean"
    cls = "cls"
    none = "none"


def embed(
    model: ModelPath,
    sequences: SequencesPath,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="File to write: .npy (names in a .names.csv beside it), .parquet, .h5."
        ),
    ],
    layer: Annotated[
        int, typer.Option("--layer", help="0: embeddings, 1: first layer; -1: the last, -2: the one before.")
    ] = -1,
    pool: Annotated[
        Pooling,
        typer.Option("--pool", help="Mean over the tokens, the [CLS] token, or every token by itself."),
    ] = Pooling.mean,
    store: Store = None,
    aliases: Aliases = None,
    column: Column = "sequence",
    skip_invalid: SkipInvalid = False,
    overlap: Overlap = None,
    batch_size: BatchSize = 64,
    plugin: Plugins = None,
) -> None:
    """Turn sequences of any length into vectors.

    Example: cmgems embed runs/logo seqs.fa -o emb.npy
    """
    from cmgems.api import load
    from cmgems.inference import check_table, write_vectors

    check_table(out)
    loaded = load(model, batch_size=batch_size, overlap=overlap, plugins=plugin or [])
    with judged(skip_invalid, out) as invalid:
        vectors = loaded.iter_embed(
            sequences,
            layer=layer,
            pool=pool.value,
            store=store,
            aliases=aliases,
            column=column,
            skip_invalid=invalid,
            progress=True,
        )
        count, rows, width = write_vectors(out, vectors)
    wrote(out, f"{rows:,} vectors of {width} values, {count:,} sequences")
