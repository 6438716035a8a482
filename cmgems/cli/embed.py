"""``cmgems embed``: sequences or tokens as vectors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cmgems.cli.inference import BatchSize, Model, Overlap, Sequences, Store
from cmgems.cli.recipes import Plugins

if TYPE_CHECKING:
    from cmgems.models.attention import Encoder


class Pooling(StrEnum):
    """What becomes of the vectors of a sequence's tokens."""

    mean = "mean"
    cls = "cls"
    none = "none"


def embed(
    model: Model,
    sequences: Sequences,
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
    overlap: Overlap = None,
    batch_size: BatchSize = 64,
    plugin: Plugins = None,
) -> None:
    """Turn sequences of any length into vectors.

    Example: cmgems embed runs/logo seqs.fa -o emb.npy
    """
    from cmgems.cli.inference import open_cutter, open_model, open_sequences, same_everywhere
    from cmgems.inference import Embedder, check_table, open_table
    from cmgems.progress import progress

    check_table(out)
    saved = open_model(model, plugin, None)
    cutter = open_cutter(saved, overlap)
    named, bases = open_sequences(sequences, store, cutter)
    compute = same_everywhere()
    encoder = cast("Encoder", saved.model.to(compute.device).encoder)
    embedder = Embedder(encoder, cutter, compute, layer, pool.value)
    embedder.check_layer()
    rows = 0
    with progress("embedding", bases, "bp") as advance, open_table(out) as add:
        for columns, vectors_RD in embedder.embed(named, batch_size, advance):
            add(columns, vectors_RD)
            rows += len(vectors_RD)
    width = vectors_RD.shape[1]
    typer.echo(f"{out}: {rows:,} vectors of {width} values, {len(named):,} sequences")
