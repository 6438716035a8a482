"""``cmgems predict``: what a fine-tuned model says about sequences."""

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


def predict(
    context: typer.Context,
    model: ModelPath,
    sequences: SequencesPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write.")],
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
    """Predict the class, labels or quantities of each sequence, or the class of each of its bases.

    A row a sequence: its class, or the labels of probability above 0.5, with every probability; or its quantities. From
    a token_classification a row a base, its position from 1, with its class and probabilities.

    Sequences longer than the model are read in overlapping windows, whose logits are averaged; a base is answered by
    the window in which it lies farthest from a cut. --both-strands takes the mean of probabilities, or of quantities.

    Example: cmgems predict runs/ft seqs.fa -o out.csv
    """
    from cmgems.inference import write_predictions

    launch.start_again(context, nproc_per_node)
    with opened(
        model, sequences, out, skip_invalid, device=device, precision=precision, batch_tokens=batch_tokens,
        overlap=overlap, plugins=plugin,
    ) as (loaded, invalid):  # fmt: skip
        found = loaded.iter_predict(
            sequences,
            both_strands=both_strands,
            store=store,
            aliases=aliases,
            column=column,
            skip_invalid=invalid,
            progress=True,
        )
        said = write_once(
            loaded, found, lambda: f"{write_predictions(out, found, loaded.head, loaded.labels)} sequences"
        )
    wrote(out, said)
