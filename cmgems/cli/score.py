"""``cmgems score``: the probability of every base given all others."""

from __future__ import annotations

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


def score(
    context: typer.Context,
    model: ModelPath,
    sequences: SequencesPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row a base.")],
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
    """Score every base of sequences by how well the model predicts it from all others.

    Example: cmgems score runs/logo seqs.fa -o scores.csv
    """
    from cmgems.inference import write_scores

    launch.start_again(context, nproc_per_node)
    with opened(
        model, sequences, out, skip_invalid, device=device, precision=precision, batch_tokens=batch_tokens,
        overlap=overlap, plugins=plugin,
    ) as (loaded, invalid):  # fmt: skip
        scores = loaded.iter_score(
            sequences,
            both_strands=both_strands,
            store=store,
            aliases=aliases,
            column=column,
            skip_invalid=invalid,
            progress=True,
        )
        said = write_once(loaded, scores, lambda: write_scores(out, scores).text())
    wrote(out, said)
