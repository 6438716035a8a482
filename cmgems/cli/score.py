"""``cmgems score``: the probability of every base given all others."""

from __future__ import annotations

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


def score(
    model: ModelPath,
    sequences: SequencesPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row a base.")],
    store: Store = None,
    aliases: Aliases = None,
    column: Column = "sequence",
    skip_invalid: SkipInvalid = False,
    overlap: Overlap = None,
    batch_size: BatchSize = 64,
    plugin: Plugins = None,
) -> None:
    """Score every base of sequences by how well the model predicts it from all others.

    Example: cmgems score runs/logo seqs.fa -o scores.csv
    """
    from cmgems.api import load
    from cmgems.inference import write_scores

    loaded = load(model, batch_size=batch_size, overlap=overlap, plugins=plugin or [])
    with judged(skip_invalid, out) as invalid:
        scores = loaded.iter_score(
            sequences, store=store, aliases=aliases, column=column, skip_invalid=invalid, progress=True
        )
        totals = write_scores(out, scores)
    wrote(
        out,
        f"{totals.sequences:,} sequences, {totals.scored:,} of {totals.bases:,} bases scored, "
        f"{totals.mean:.4f} nats a base",
    )
