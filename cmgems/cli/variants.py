"""``cmgems variants``: zero-shot scores of single-base variants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli import launch
from cmgems.cli.inference import (
    Aliases,
    BatchTokens,
    BothStrands,
    Device,
    DeviceChoice,
    ModelPath,
    NProcPerNode,
    Precision,
    PrecisionChoice,
    SkipInvalid,
    opened,
    write_once,
)
from cmgems.cli.outcome import wrote
from cmgems.cli.recipes import Plugins


def variants(
    context: typer.Context,
    model: ModelPath,
    calls: Annotated[Path, typer.Argument(metavar="VCF", help="Variants, plain or compressed VCF.")],
    store: Annotated[Path, typer.Option("--store", help="Genome store the variants were called on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row an alternative allele.")],
    both_strands: BothStrands = False,
    aliases: Aliases = None,
    skip_invalid: SkipInvalid = False,
    batch_tokens: BatchTokens = None,
    device: DeviceChoice = Device.auto,
    precision: PrecisionChoice = Precision.auto,
    nproc_per_node: NProcPerNode = 1,
    plugin: Plugins = None,
) -> None:
    """Score variants by how much less likely than the reference base the model finds them (nats).

    Example: cmgems variants runs/logo calls.vcf --store hg38.store -o scores.csv
    """
    from cmgems.inference import write_variants

    launch.start_again(context, nproc_per_node)
    with opened(
        model,
        out,
        skip_invalid,
        device=device,
        precision=precision,
        batch_tokens=batch_tokens,
        plugins=plugin,
    ) as (loaded, invalid):
        alleles = loaded.iter_variants(
            calls, store, both_strands=both_strands, aliases=aliases, skip_invalid=invalid, progress=True
        )
        said = write_once(loaded, alleles, lambda: write_variants(out, alleles).text())
    wrote(out, said)
