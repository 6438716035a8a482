"""``cmgems predict``: labels and probabilities for sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.recipes import Plugins


def predict(
    checkpoint: Annotated[Path, typer.Argument(help="Fine-tuning run or model folder.")],
    sequences: Annotated[Path, typer.Argument(metavar="FASTA", help="Sequences, plain or compressed FASTA.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write.")],
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences in a forward pass.")] = 64,
    plugin: Plugins = None,
) -> None:
    """Predict the class of each sequence of a FASTA file.

    Example: cmgems predict runs/ft seqs.fa -o out.csv
    """
    import csv
    import io
    import sys

    from cmgems.data.labelled import encode_at
    from cmgems.errors import CheckpointError
    from cmgems.files import write_text
    from cmgems.genome import read_fasta
    from cmgems.models import load_model
    from cmgems.plugins import load_plugins
    from cmgems.progress import progress
    from cmgems.training import ComputeConfig, predict_probabilities, start_compute

    load_plugins(plugin or [])
    saved = load_model(checkpoint)
    if saved.head != "classification":
        raise CheckpointError(
            "not a classifier",
            where=saved.folder,
            why="it was only pretrained",
            fix="run `cmgems run finetune` first",
        )
    longest = saved.tokenizer.bases_for(saved.config.max_positions)
    names, rows, cut = [], [], 0
    for record in read_fasta(sequences):
        bases = record.sequence.decode()
        cut += len(bases) > longest
        names.append(record.name)
        rows.append(encode_at(f"{sequences}, {record.name}", bases[:longest], saved.tokenizer))
    if cut:
        print(f"warning: {cut} sequences cut to their first {longest} bp", file=sys.stderr)

    compute = start_compute(ComputeConfig(precision="fp32"), seed=0)  # the same answer on every machine
    with progress("predicting", len(rows), "sequences") as advance:
        probabilities_NC = predict_probabilities(
            saved.model.to(compute.device),
            rows,
            saved.tokenizer,
            saved.config.max_positions,
            compute,
            batch_size=batch_size,
            advance=advance,
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", *(f"p_{label}" for label in saved.labels)])
    for name, row_C in zip(names, probabilities_NC, strict=True):
        writer.writerow([name, saved.labels[int(row_C.argmax())], *(f"{p:.6f}" for p in row_C)])
    write_text(out, text.getvalue())
    typer.echo(f"{out}: {len(names)} sequences")
