"""``cmgems mask``: list the ways to mask, and see what the strategies hide."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.recipes import Plugins

app = typer.Typer(help="List the ways to mask, and see what the strategies hide.", no_args_is_help=True)


class RankedBy(StrEnum):
    """How ranks are looked up: by token as the papers say, or by position as the released code does."""

    token = "token"
    position = "position"


Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        help="With options of its own after a +: random_span+wider=4. May be given several times. By default all but "
        "loss_weighted, and those that the tokens do not allow; "
        "without --table those that need none, with --rate or --target-rate those that have no rate of their own.",
    ),
]
Table = Annotated[Path | None, typer.Option("--table", help="PMI table that ranks the k-mers.")]
K = Annotated[
    int | None,
    typer.Option("--k", help="Length of the k-mers (bp), 3 to 6; 1 masks single bases [default: 6]."),
]
Tokens = Annotated[
    str | None,
    typer.Option("--tokenizer", help="Other tokens than k-mers: nt_v1, nt_v2, or a BPE tokenizer.json."),
]
Rate = Annotated[float | None, typer.Option("--rate", help="Nominal rate, as in the papers (0.15).")]
TargetRate = Annotated[
    float | None, typer.Option("--target-rate", help="Real share of masked tokens, instead of --rate.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**64 - 1, help="Another seed, another mask.")]


@app.command()
def ls(plugin: Plugins = None) -> None:
    """List the curricula, masking strategies and schedules of the rate that a config may name.

    Example: cmgems mask ls
    """
    from cmgems.masking import CURRICULA, RATE_SCHEDULES
    from cmgems.plugins import load_plugins

    load_plugins(plugin or [])
    lists = {
        "masking.curriculum": {name: CURRICULA.summary(name) for name in CURRICULA.names()},
        "masking.rate_schedule": {name: RATE_SCHEDULES.summary(name) for name in RATE_SCHEDULES.names()},
    }
    width = max(len(name) for lines in lists.values() for name in lines)
    for key, lines in lists.items():
        typer.echo(f"{key}:")
        for name, text in lines.items():
            typer.echo(f"  {name:<{width}}  {text}".rstrip())


@app.command()
def preview(
    fasta: Annotated[Path, typer.Argument(help="FASTA file.")],
    strategy: Strategies = None,
    table: Table = None,
    k: K = None,
    tokenizer: Tokens = None,
    rate: Rate = None,
    target_rate: TargetRate = None,
    seed: Seed = 0,
    rank_by: Annotated[
        RankedBy,
        typer.Option("--rank-by", help="`position` ranks as the code released with the papers does."),
    ] = RankedBy.token,
    max_bp: Annotated[int, typer.Option("--max-bp", min=10, help="Bases shown of a sequence.")] = 200,
    sequences: Annotated[int, typer.Option("--sequences", min=1, help="Sequences shown.")] = 3,
    html: Annotated[Path | None, typer.Option("--html", help="Write it as a web page too.")] = None,
    plugin: Plugins = None,
) -> None:
    """Show sequences as each strategy masks them.

    Example: cmgems mask preview genome.fa --table pmi.safetensors --strategy random_span --strategy global_pmi
    """
    from rich.console import Console

    from cmgems.files import write_text
    from cmgems.masking.preview import mask_preview
    from cmgems.plugins import load_plugins
    from cmgems.report.masks import preview_page, preview_text

    load_plugins(plugin or [])
    previews = mask_preview(
        fasta,
        table,
        strategy,
        k=k,
        tokenizer=tokenizer,
        rate=rate,
        target_rate=target_rate,
        seed=seed,
        rank_by=rank_by.value,
        max_bp=max_bp,
        count=sequences,
    )
    if html is not None:
        write_text(html, preview_page(previews, f"Masks of {fasta.name}"))
    Console(highlight=False, soft_wrap=True).print(preview_text(previews))


@app.command()
def stats(
    source: Annotated[Path, typer.Argument(metavar="STORE_or_FASTA", help="Genome store or FASTA file.")],
    strategy: Strategies = None,
    table: Table = None,
    k: K = None,
    tokenizer: Tokens = None,
    rate: Rate = None,
    target_rate: TargetRate = None,
    seed: Seed = 0,
    sequences: Annotated[int, typer.Option("--sequences", min=1, help="Windows of 510 bp to mask.")] = 400,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the figures as CSV too.")] = None,
    plugin: Plugins = None,
) -> None:
    """Measure how much each strategy hides, where, and how hard it is to guess.

    Example: cmgems mask stats genome.store --table pmi.safetensors --csv masks.csv
    """
    from cmgems.files import write_text
    from cmgems.masking.stats import strategy_stats
    from cmgems.plugins import load_plugins
    from cmgems.report.masks import stats_csv, stats_table

    load_plugins(plugin or [])
    rows = strategy_stats(
        source,
        table,
        strategy,
        k=k,
        tokenizer=tokenizer,
        rate=rate,
        target_rate=target_rate,
        seed=seed,
        count=sequences,
    )
    if csv is not None:
        write_text(csv, stats_csv(rows))
    typer.echo(stats_table(rows))
    typer.echo(
        f"\n{rows[0].sequences} windows of up to 510 bp. tokens: share of tokens masked; bases hidden: no token "
        "left shows them;\npositions: places of a window that are ever masked; ranks: masked tokens by tenth of the "
        "ranking."
    )
