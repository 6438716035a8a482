"""``cmgems score``: the probability of every base given all others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.inference import BatchSize, Model, Overlap, Sequences, Store
from cmgems.cli.recipes import Plugins


def score(
    model: Model,
    sequences: Sequences,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row a base.")],
    store: Store = None,
    overlap: Overlap = None,
    batch_size: BatchSize = 64,
    plugin: Plugins = None,
) -> None:
    """Score every base of sequences by how well the model predicts it from all others.

    Example: cmgems score runs/logo seqs.fa -o scores.csv
    """
    import csv

    import numpy as np

    from cmgems.cli.inference import open_cutter, open_model, open_sequences, same_everywhere
    from cmgems.files import atomic_path
    from cmgems.genome import BASES
    from cmgems.inference import PseudoLikelihood, log_likelihoods
    from cmgems.progress import progress

    saved = open_model(model, plugin, "masked_lm")
    cutter = open_cutter(saved, overlap)
    named, bases = open_sequences(sequences, store, cutter)
    compute = same_everywhere()
    scorer = PseudoLikelihood(saved.model.to(compute.device), cutter, compute, batch_size)
    order = [BASES.index(base) for base in "ACGT"]
    total, scored = 0.0, 0
    with (
        progress("scoring", bases, "bases") as advance,
        atomic_path(out) as partial,
        open(partial, "w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["name", "position", "base", "log_likelihood", "p_A", "p_C", "p_G", "p_T"])
        for sequence in named:
            probabilities_L4 = scorer.base_probabilities(sequence.codes, advance)
            found_L = log_likelihoods(probabilities_L4, sequence.codes)
            total += float(np.nansum(found_L))
            scored += int(np.count_nonzero(~np.isnan(found_L)))
            for i, base in enumerate(sequence.bases):
                known = not np.isnan(found_L[i])
                values = [found_L[i], *probabilities_L4[i, order]] if known else []
                cells = [f"{value:.6f}" for value in values] or [""] * 5
                writer.writerow([sequence.name, i + 1, base, *cells])
    typer.echo(f"{out}: {scored:,} of {bases:,} bases scored, {total / scored:.4f} nats a base")
