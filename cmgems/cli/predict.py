"""``cmgems predict``: labels and probabilities for sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.inference import BatchSize, Overlap
from cmgems.cli.recipes import Plugins


def predict(
    checkpoint: Annotated[Path, typer.Argument(help="Fine-tuning run or model folder.")],
    sequences: Annotated[Path, typer.Argument(metavar="FASTA", help="Sequences, plain or compressed FASTA.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write.")],
    batch_size: BatchSize = 64,
    overlap: Overlap = None,
    plugin: Plugins = None,
) -> None:
    """Predict the class of each sequence of a FASTA file.

    Sequences longer than the model are read in overlapping windows, whose logits are averaged.

    Example: cmgems predict runs/ft seqs.fa -o out.csv
    """
    import csv
    import io

    import torch

    from cmgems.cli.inference import open_cutter, open_model, open_sequences, same_everywhere
    from cmgems.files import write_text
    from cmgems.inference import class_logits
    from cmgems.progress import progress

    saved = open_model(checkpoint, plugin, "classification")
    cutter = open_cutter(saved, overlap)
    named, bases = open_sequences(sequences, None, cutter)
    compute = same_everywhere()
    with progress("predicting", bases, "bp") as advance:
        model = saved.model.to(compute.device)
        logits_NC = class_logits(model, named, cutter, compute, batch_size, advance)
    probabilities_NC = torch.from_numpy(logits_NC).softmax(-1).numpy()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", *(f"p_{label}" for label in saved.labels)])
    for sequence, row_C in zip(named, probabilities_NC, strict=True):
        writer.writerow([sequence.name, saved.labels[int(row_C.argmax())], *(f"{p:.6f}" for p in row_C)])
    write_text(out, text.getvalue())
    typer.echo(f"{out}: {len(named)} sequences")
