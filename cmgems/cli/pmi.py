"""``cmgems pmi``: rank k-mers by how strongly their bases are bound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cmgems.pmi import PMITable

app = typer.Typer(help="Rank k-mers by normalised pointwise mutual information (NPMI).", no_args_is_help=True)

Table = Annotated[Path, typer.Argument(help="PMI table (safetensors or CSV).")]
Top = Annotated[int, typer.Option("--top", min=0, help="Show this many k-mers from each end of the ranking.")]


@app.command()
def build(
    store: Annotated[Path, typer.Argument(help="Genome store made by `cmgems genome build`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write (safetensors).")],
    k: Annotated[int, typer.Option("--k", min=3, max=8, help="Length of the k-mers (bp).")] = 6,
    definition: Annotated[str, typer.Option(help="exact, or genemask2023 (the published one).")] = "exact",
    canonical: Annotated[bool, typer.Option("--canonical", help="Count both strands.")] = False,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer k-mers rank after all others.")] = 1,
    csv: Annotated[Path | None, typer.Option(help="Write the table as CSV too.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads [default: one a core, at most 4].")
    ] = None,
    top: Top = 0,
) -> None:
    """Count the n-grams of a genome and write the ranked table of its k-mers.

    Under torchrun each process counts its share, and the first writes.

    Example: cmgems pmi build human.store -o pmi.safetensors --k 6 --top 10
    """
    from cmgems.distributed import open_world
    from cmgems.errors import CmgemsError
    from cmgems.files import check_file
    from cmgems.genome import GenomeStore
    from cmgems.pmi import PMITable

    if csv is not None and csv.resolve() == out.resolve():
        raise CmgemsError("--out and --csv are the same file", where=out, fix="give two names")
    for path in (out, *([csv] if csv else [])):
        check_file(path)
    genome = GenomeStore.open(store)
    with open_world() as world:
        table = PMITable.build(
            genome, k, definition, canonical=canonical, min_count=min_count, workers=workers, world=world
        )
    if not world.is_main:
        return
    table.save(out)
    if csv is not None:
        table.to_csv(csv)
    typer.echo(f"{out}: {len(table.rank):,} {k}-mers ranked, {table.count.sum():,} counted")
    _print_ends(table, top)


@app.command()
def show(table: Table, top: Top = 10) -> None:
    """Print where a PMI table comes from and both ends of its ranking.

    Example: cmgems pmi show pmi.safetensors --top 20
    """
    from cmgems.pmi import PMITable

    loaded = PMITable.load(table)
    about = {
        "k": loaded.k,
        "definition": loaded.definition,
        # Our CSV does not say which strands were counted.
        "canonical": "unknown" if loaded.definition == "unknown" else loaded.canonical,
        **loaded.provenance,
    }
    for name, value in about.items():
        if isinstance(value, dict):  # how many n-grams were counted, by their length
            value = ", ".join(f"{count:,} of {length}" for length, count in value.items())
        typer.echo(f"{name}: {value}")
    _print_ends(loaded, top)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="PMI table (safetensors or CSV).")],
    second: Annotated[Path, typer.Argument(metavar="B", help="PMI table of the same k.")],
    top: Annotated[
        int | None, typer.Option(min=1, help="Compare the first TOP k-mers [default: 10, 100 and 1000].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Scatter plot of the ranks to write (PNG).")
    ] = None,
) -> None:
    """Print how far two rankings agree.

    Example: cmgems pmi compare human.safetensors mouse.safetensors -o ranks.png
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cmgems.pmi import PMITable
    from cmgems.pmi.compare import compare

    tables = PMITable.load(first), PMITable.load(second)
    agreement = compare(*tables, tops=None if top is None else [top])
    grid = Table("measure", title=escape(f"{first} and {second}"), title_justify="left")
    grid.add_column("value", justify="right")
    grid.add_row("Spearman's rho", f"{agreement.spearman:.4f}")
    grid.add_row("Kendall's tau", f"{agreement.kendall:.4f}")
    for n, shared in agreement.overlap.items():
        grid.add_row(f"shared by the first {n}", f"{shared} ({shared / n:.1%})")
    Console().print(grid)
    if out is not None:
        from cmgems.report.pmi import plot_ranks

        plot_ranks(*tables, out, (first.name, second.name))
        typer.echo(str(out))


@app.command()
def plot(
    table: Table,
    out: Annotated[Path, typer.Option("--out", "-o", help="A .png file, or a folder for several.")],
    top: Annotated[int, typer.Option(min=1, help="Number of k-mers in each sequence logo, at most.")] = 100,
) -> None:
    """Draw a table: distribution of NPMI; NPMI, CpG and GC content by rank; sequence logos of both ends.

    Example: cmgems pmi plot pmi.safetensors -o pmi.png
    """
    from cmgems.pmi import PMITable
    from cmgems.report.pmi import plot_table

    for path in plot_table(PMITable.load(table), out, top):
        typer.echo(str(path))


def _print_ends(table: PMITable, top: int) -> None:
    from rich.console import Console
    from rich.table import Table

    if top == 0:
        return
    grid = Table()
    for title in ("rank", "k-mer", "count", "PMI", "NPMI"):
        grid.add_column(title, justify="left" if title == "k-mer" else "right")
    for rows in table.ends(top):
        for row in rows:
            scores = ["-" if score is None else f"{score:.4f}" for score in (row.pmi, row.npmi)]
            grid.add_row(str(row.rank), row.kmer, str(row.count), *scores)
        grid.add_section()
    Console().print(grid)
