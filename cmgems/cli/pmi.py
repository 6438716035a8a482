"""``cmgems pmi``: rank k-mers by how strongly their bases are bound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cmgems.pmi import PMITable

app = typer.Typer(help="Rank k-mers by normalised pointwise mutual information (NPMI).", no_args_is_help=True)

Top = Annotated[int, typer.Option("--top", min=0, help="Show this many k-mers from each end of the ranking.")]


@app.command()
def build(
    store: Annotated[Path, typer.Argument(help="Genome store made by `cmgems genome build`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write (safetensors).")],
    k: Annotated[int, typer.Option("--k", min=3, max=8, help="Length of the k-mers (bp).")] = 6,
    definition: Annotated[
        str, typer.Option(help="exact, or genemask2023 as in the published ranking.")
    ] = "exact",
    canonical: Annotated[bool, typer.Option("--canonical", help="Count both strands.")] = False,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer k-mers rank after all others.")] = 1,
    csv: Annotated[Path | None, typer.Option(help="Write the table as CSV too.")] = None,
    top: Top = 0,
) -> None:
    """Count the n-grams of a genome and write the ranked table of its k-mers.

    Example: cmgems pmi build human.store -o pmi.safetensors --k 6 --top 10
    """
    from cmgems.genome.store import GenomeStore
    from cmgems.pmi import PMITable, count_ngrams

    genome = GenomeStore.open(store)
    table = PMITable.from_counts(
        count_ngrams(genome, k),
        k,
        definition,
        canonical=canonical,
        min_count=min_count,
        provenance={"genome_sha256": genome.sha256, "bases": genome.bases},
    )
    table.save(output)
    if csv is not None:
        table.to_csv(csv)
    typer.echo(f"{output}: {len(table.rank)} {k}-mers ranked, {table.count.sum()} counted")
    _print_ends(table, top)


@app.command()
def show(
    table: Annotated[Path, typer.Argument(help="PMI table (safetensors or CSV).")],
    top: Top = 10,
) -> None:
    """Print where a PMI table comes from and both ends of its ranking.

    Example: cmgems pmi show pmi.safetensors --top 20
    """
    from cmgems.pmi import PMITable

    loaded = PMITable.load(table)
    about = {
        "k": loaded.k,
        "definition": loaded.definition,
        "canonical": loaded.canonical,
        **loaded.provenance,
    }
    for name, value in about.items():
        typer.echo(f"{name}: {value}")
    _print_ends(loaded, top)


def _print_ends(table: PMITable, top: int) -> None:
    """Print the ``top`` first and last k-mers by rank; all of them if that is more."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from cmgems.pmi.definitions import kmer

    if top == 0:
        return
    order = table.order()
    ends = [order] if 2 * top >= len(order) else [order[:top], order[-top:]]
    grid = Table()
    for title in ("rank", "k-mer", "count", "PMI", "NPMI"):
        grid.add_column(title, justify="left" if title == "k-mer" else "right")
    for numbers in ends:
        for i in numbers.tolist():
            scores = [
                f"{score[i]:.4f}" if np.isfinite(score[i]) else "-" for score in (table.pmi, table.npmi)
            ]
            grid.add_row(str(table.rank[i]), kmer(i, table.k), str(table.count[i]), *scores)
        grid.add_section()
    Console().print(grid)
