"""``cmgems embed``: sequences or tokens as vectors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli import launch
from cmgems.cli.inference import (
    Aliases,
    BatchTokens,
    BothStrands,
    Column,
    Device,
    DeviceChoice,
    ModelPath,
    NProcPerNode,
    Overlap,
    Precision,
    PrecisionChoice,
    SequencesPath,
    SkipInvalid,
    Store,
    opened,
    write_once,
)
from cmgems.cli.outcome import wrote
from cmgems.cli.recipes import Plugins


class Pooling(StrEnum):
    """What becomes of the vectors of a sequence's tokens."""

    mean = "mean"
    cls = "cls"
    none = "none"


def embed(
    context: typer.Context,
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
    both_strands: BothStrands = False,
    store: Store = None,
    aliases: Aliases = None,
    column: Column = "sequence",
    skip_invalid: SkipInvalid = False,
    overlap: Overlap = None,
    batch_tokens: BatchTokens = None,
    device: DeviceChoice = Device.auto,
    precision: PrecisionChoice = Precision.auto,
    nproc_per_node: NProcPerNode = 1,
    plugin: Plugins = None,
) -> None:
    """Turn sequences of any length into vectors.

    Example: cmgems embed runs/logo seqs.fa -o emb.npy
    """
    from cmgems.inference import check_table, write_vectors

    check_table(out)
    launch.start_again(context, nproc_per_node)
    with opened(
        model, sequences, out, skip_invalid, device=device, precision=precision, batch_tokens=batch_tokens,
        overlap=overlap, plugins=plugin,
    ) as (loaded, invalid):  # fmt: skip
        vectors = loaded.iter_embed(
            sequences,
            layer=layer,
            pool=pool.value,
            both_strands=both_strands,
            store=store,
            aliases=aliases,
            column=column,
            skip_invalid=invalid,
            progress=True,
        )

        def write() -> str:
            count, rows, width = write_vectors(out, vectors)
            return f"{rows:,} vectors of {width} values, {count:,} sequences"

        said = write_once(loaded, vectors, write)
    wrote(out, said)
