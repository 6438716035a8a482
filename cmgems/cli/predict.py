"""``cmgems predict``: what a fine-tuned model says about sequences."""

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


def predict(
    model: ModelPath,
    sequences: SequencesPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write.")],
    store: Store = None,
    aliases: Aliases = None,
    column: Column = "sequence",
    skip_invalid: SkipInvalid = False,
    overlap: Overlap = None,
    batch_size: BatchSize = 64,
    plugin: Plugins = None,
) -> None:
    """Predict the class, labels or quantities of each sequence, or the class of each of its bases.

    A row a sequence: its class, or the labels of probability above 0.5, with every probability; or its quantities. From
    a token_classification a row a base, its position from 1, with its class and probabilities.

    Sequences longer than the model are read in overlapping windows, whose logits are averaged; a base is answered by
    the window in which it lies farthest from a cut.

    Example: cmgems predict runs/ft seqs.fa -o out.csv
    """
    from cmgems.api import load
    from cmgems.inference import write_predictions

    loaded = load(model, batch_size=batch_size, overlap=overlap, plugins=plugin or [])
    with judged(skip_invalid, out) as invalid:
        found = loaded.iter_predict(
            sequences, store=store, aliases=aliases, column=column, skip_invalid=invalid, progress=True
        )
        count = write_predictions(out, found, loaded.head, loaded.labels)
    wrote(out, f"{count} sequences")
