"""``cmgems score``: the probability of every base given all others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.inference import BatchSize, ModelPath, Overlap, SequencesPath, Store
from cmgems.cli.outcome import wrote
from cmgems.cli.recipes import Plugins


def score(
    model: ModelPath,
    sequences: SequencesPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row a base.")],
    store: Store = None,
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
    totals = write_scores(out, loaded.iter_score(sequences, store=store, progress=True))
    wrote(out, f"{totals.scored:,} of {totals.bases:,} bases scored, {totals.mean:.4f} nats a base")
