"""``cmgems predict``: what a fine-tuned model says about sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.inference import BatchSize, Overlap
from cmgems.cli.recipes import Plugins


def predict(
    checkpoint: Annotated[Path, typer.Argument(help="Fine-tuning run or model folder.")],
    sequences: Annotated[
        Path, typer.Argument(metavar="SEQUENCES", help="FASTA, or CSV with a column `sequence`.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write.")],
    batch_size: BatchSize = 64,
    overlap: Overlap = None,
    plugin: Plugins = None,
) -> None:
    """Predict the class, labels or quantities of each sequence, or the class of each of its bases.

    A row a sequence: its class, or the labels of probability above 0.5, with every probability; or its quantities. From
    a token_classification a row a base, its position from 1, with its class and probabilities.

    Sequences longer than the model are read in overlapping windows, whose logits are averaged; a base is answered by
    the window in which it lies farthest from a cut.

    Example: cmgems predict runs/ft seqs.fa -o out.csv
    """
    import csv

    from cmgems.cli.inference import open_cutter, open_model, open_sequences, same_everywhere
    from cmgems.files import atomic_path
    from cmgems.inference import base_cells, base_logits, class_logits, column_names, sequence_cells
    from cmgems.progress import progress
    from cmgems.tasks import activate

    saved = open_model(checkpoint, plugin, "fine_tuned")
    cutter = open_cutter(saved, overlap)
    named, bases = open_sequences(sequences, None, cutter)
    compute = same_everywhere()
    model, head, labels = saved.model.to(compute.device), saved.head, saved.labels
    with (
        progress("predicting", bases, "bp") as advance,
        atomic_path(out) as partial,
        open(partial, "w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(column_names(head, labels))
        if head == "token_classification":
            answers = base_logits(model, named, cutter, compute, batch_size, advance)
            for sequence, logits_LC in zip(named, answers, strict=True):
                writer.writerows(base_cells(sequence, labels, activate(logits_LC, head)))
        else:
            values_NC = activate(class_logits(model, named, cutter, compute, batch_size, advance), head)
            for sequence, values_C in zip(named, values_NC, strict=True):
                writer.writerow(sequence_cells(sequence, head, labels, values_C))
    typer.echo(f"{out}: {len(named)} sequences")
