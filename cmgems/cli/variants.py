"""``cmgems variants``: zero-shot scores of single-base variants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.inference import Aliases, BatchSize, ModelPath, SkipInvalid, judged
from cmgems.cli.outcome import wrote
from cmgems.cli.recipes import Plugins


def variants(
    model: ModelPath,
    calls: Annotated[Path, typer.Argument(metavar="VCF", help="Variants, plain or compressed VCF.")],
    store: Annotated[Path, typer.Option("--store", help="Genome store the variants were called on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row an alternative allele.")],
    both_strands: Annotated[
        bool, typer.Option("--both-strands", help="Mean of the scores of both strands; twice the work.")
    ] = False,
    aliases: Aliases = None,
    skip_invalid: SkipInvalid = False,
    batch_size: BatchSize = 64,
    plugin: Plugins = None,
) -> None:
    """Score variants by how much less likely than the reference base the model finds them (nats).

    Example: cmgems variants runs/logo calls.vcf --store hg38.store -o scores.csv
    """
    from cmgems.api import load
    from cmgems.inference import count_skipped, write_variants

    loaded = load(model, batch_size=batch_size, plugins=plugin or [])
    with judged(skip_invalid, out) as invalid:
        alleles = loaded.variants(
            calls, store, both_strands=both_strands, aliases=aliases, skip_invalid=invalid, progress=True
        )
        write_variants(out, alleles)
    skipped = count_skipped(alleles)
    scored = sum(not allele.skipped for allele in alleles)
    of_all = f"{scored:,} of {len(alleles):,} alleles scored"
    wrote(out, of_all + (f", skipped {skipped}" if skipped else ""))
