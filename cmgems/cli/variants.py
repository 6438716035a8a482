"""``cmgems variants``: zero-shot scores of single-base variants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.inference import BatchSize, Model
from cmgems.cli.recipes import Plugins


def variants(
    model: Model,
    calls: Annotated[Path, typer.Argument(metavar="VCF", help="Variants, plain or compressed VCF.")],
    store: Annotated[Path, typer.Option("--store", help="Genome store the variants were called on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row an alternative allele.")],
    both_strands: Annotated[
        bool, typer.Option("--both-strands", help="Mean of the scores of both strands; twice the work.")
    ] = False,
    batch_size: BatchSize = 64,
    plugin: Plugins = None,
) -> None:
    """Score variants by how much less likely than the reference base the model finds them (nats).

    Example: cmgems variants runs/logo calls.vcf --store hg38.store -o scores.csv
    """
    import csv
    import io

    from cmgems.cli.inference import open_cutter, open_model, same_everywhere
    from cmgems.files import write_text
    from cmgems.genome import GenomeStore
    from cmgems.inference import (
        Contigs,
        PseudoLikelihood,
        check_variants,
        count_skipped,
        read_vcf,
        score_alleles,
    )
    from cmgems.progress import progress

    contigs = Contigs(GenomeStore.open(store))
    alleles = check_variants(read_vcf(calls), contigs)
    saved = open_model(model, plugin, "masked_lm")
    compute = same_everywhere()
    scorer = PseudoLikelihood(saved.model.to(compute.device), open_cutter(saved), compute, batch_size)
    with progress("scoring", len(alleles), "variants") as advance:
        alleles = score_alleles(alleles, contigs, scorer, both_strands=both_strands, advance=advance)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["contig", "position", "id", "ref", "alt", "score", "skipped"])
    for allele in alleles:
        variant = allele.variant
        cell = "" if allele.skipped else f"{allele.score:.6f}"
        writer.writerow(
            [variant.contig, variant.position, variant.id, variant.ref, allele.alt, cell, allele.skipped]
        )
    write_text(out, text.getvalue())
    skipped = count_skipped(alleles)
    scored = sum(not allele.skipped for allele in alleles)
    typer.echo(f"{out}: {scored:,} alleles scored" + (f", skipped {skipped}" if skipped else ""))
