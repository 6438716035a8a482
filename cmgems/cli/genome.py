"""``cmgems genome``: build a genome store from FASTA, and look at one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cmgems.genome import GenomeStore

app = typer.Typer(
    help="Read FASTA files into a genome store, the form all training reads.", no_args_is_help=True
)


@app.command()
def build(
    fastas: Annotated[
        list[Path], typer.Argument(metavar="FASTA...", help="FASTA files, plain or compressed.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="STORE", help="Folder to make.")],
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--prefix", help="Put before the names of a file's contigs: one for each FASTA, in their order."
        ),
    ] = None,
    soft_mask: Annotated[
        bool, typer.Option("--soft-mask", help="Keep where the letters are lower case.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the store in STORE.")] = False,
) -> None:
    """Build a genome store from FASTA files.

    Example: cmgems genome build chr1.fa.gz chr2.fa.gz -o human

    Several species: cmgems genome build hg38.fa mm39.fa --prefix human_ --prefix mouse_ -o both
    """
    from cmgems.genome import GenomeStore

    store = GenomeStore.build(fastas, out, prefixes=prefix or (), soft_mask=soft_mask, force=force)
    contigs = len(store.names)
    print(f"{out}: {contigs:,} contig{'s' if contigs != 1 else ''}, {store.bases:,} bp")
    if store.ambiguous:
        print(_ambiguous(store))


@app.command()
def info(
    folder: Annotated[Path, typer.Argument(metavar="STORE", help="A genome store.")],
    verify: Annotated[bool, typer.Option("--verify", help="Compare every byte and the index too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a genome store holds.

    Example: cmgems genome info human --verify
    """
    import json

    from cmgems.genome import GenomeStore

    store = GenomeStore.open(folder)
    if verify:
        store.verify()
    if as_json:
        print(json.dumps(_facts(store) | {"verified": verify}, indent=2))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(title=str(folder), show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # do not cut the checksum
    gc = f"{store.gc / store.valid_bases:.1%}" if store.valid_bases else "none"
    for label, value in {
        "contigs": f"{len(store.names):,}",
        "bases": f"{store.bases:,} bp",
        "valid bases": f"{store.valid_bases:,} bp in {len(store.runs):,} runs",
        "other letters": _letters(store) or "none",
        "GC content": gc,
        "soft-masked": _soft_masked(store),
        "FASTA files": ", ".join(source["name"] for source in store.sources),
        "sha256": store.sha256 + (" (verified)" if verify else ""),
    }.items():
        table.add_row(label, value)
    Console(markup=False, emoji=False).print(table)  # file names may hold [ ]


def _facts(store: GenomeStore) -> dict[str, Any]:
    return {
        "contigs": len(store.names),
        "bases": store.bases,
        "valid_bases": store.valid_bases,
        "runs": len(store.runs),
        "ambiguous": store.ambiguous,
        "gc_content": store.gc / store.valid_bases if store.valid_bases else None,
        "soft_masked_runs": None if store.soft_masked_runs is None else len(store.soft_masked_runs),
        "sources": store.sources,
        "sha256": store.sha256,
    }


def _letters(store: GenomeStore) -> str:
    most_first = sorted(store.ambiguous.items(), key=lambda item: -item[1])
    return ", ".join(f"{letter} {count:,}" for letter, count in most_first)


def _ambiguous(store: GenomeStore) -> str:
    count = sum(store.ambiguous.values())
    noun = "base is" if count == 1 else "bases are"
    return f"{count:,} {noun} not A, C, G or T ({_letters(store)}): kept as N"


def _soft_masked(store: GenomeStore) -> str:
    runs = store.soft_masked_runs
    if runs is None:
        return "not kept (build with --soft-mask)"
    bases = int((runs[:, 1] - runs[:, 0]).sum())
    return f"{bases:,} bp in {len(runs):,} runs"
