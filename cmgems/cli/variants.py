"""``cmgems variants``: zero-shot scores of single-base variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from cmgems.inference.labelled_variants import VariantResults


def variants(
    context: typer.Context,
    model: ModelPath,
    calls: Annotated[
        Path,
        typer.Argument(
            metavar="VARIANTS", help="VCF, plain or compressed, or a table with chrom, pos, ref and alt."
        ),
    ],
    store: Annotated[Path, typer.Option("--store", help="Genome store the variants were called on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write, a row an alternative allele.")],
    both_strands: BothStrands = False,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="KEY=POSITIVE:NEGATIVE",
            help="Rank against labels: INFO/CLNSIG=Pathogenic,Likely_pathogenic:Benign, or a column of a table.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="KEY", help="Rank the values of this key apart too: INFO/MC."),
    ] = None,
    swapped: Annotated[
        bool,
        typer.Option(
            "--swapped", help="Score records whose REF and ALT are swapped in the genome, as they are."
        ),
    ] = False,
    aliases: Aliases = None,
    skip_invalid: SkipInvalid = False,
    batch_tokens: BatchTokens = None,
    device: DeviceChoice = Device.auto,
    precision: PrecisionChoice = Precision.auto,
    nproc_per_node: NProcPerNode = 1,
    plugin: Plugins = None,
) -> None:
    """Score variants by how much less likely than the reference base the model finds them (nats).

    With --labels, AUROC and AUPRC of the scores, beside GC content, CpG sites and trinucleotide counts, are shown and
    written to a .labels.json beside the output.

    Example: cmgems variants runs/logo calls.vcf --store hg38.store -o scores.csv
    """
    from cmgems.inference import write_variants
    from cmgems.inference.labelled_variants import LabelledVariants
    from cmgems.inference.variant_labels import asked_labels

    launch.start_again(context, nproc_per_node)
    wanted = asked_labels(labels, by, calls)
    with opened(
        model,
        calls,
        out,
        skip_invalid,
        device=device,
        precision=precision,
        batch_tokens=batch_tokens,
        plugins=plugin,
    ) as (loaded, invalid):
        alleles = loaded.iter_variants(
            calls,
            store,
            both_strands=both_strands,
            swapped=swapped,
            aliases=aliases,
            skip_invalid=invalid,
            progress=True,
        )
        against = LabelledVariants.of(wanted, store, aliases) if wanted and loaded.world.is_main else None
        said = write_once(loaded, alleles, lambda: write_variants(out, alleles, against).text())
        wrote(out, said)
        if against:
            _tell(out, against.results(invalid))


def _tell(out: Path, results: VariantResults) -> None:
    """Show how the scores agree with the labels, and write it beside the output if that is a file."""
    from rich.console import Console

    from cmgems.files import is_stdout
    from cmgems.inference.labelled_variants import labels_path
    from cmgems.report.variants import show_variants

    show_variants(results, Console(stderr=is_stdout(out)))
    if not is_stdout(out):
        results.write(labels_path(out))
