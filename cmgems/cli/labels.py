"""``cmgems labels``: make and audit labelled sets to fine-tune on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.audit import audit
from cmgems.cli.set_options import Sequence, SetAliases, SetStore, SkipRows, Window

app = typer.Typer(help="Make and audit labelled sets: few-shot draws, silencers.", no_args_is_help=True)
app.command()(audit)


@app.command()
def draw(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with train and test files.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder to make.")],
    shots: Annotated[
        str, typer.Option(metavar="N,N,...", help="Training examples of each class.")
    ] = "10,50,100,500,1000",
    draws: Annotated[int, typer.Option(metavar="N", help="Training sets of each size.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    store: SetStore = None,
    aliases: SetAliases = None,
    window: Window = None,
    sequence: Sequence = "sequence",
    label: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the classes.")] = "label",
    skip_invalid: SkipRows = False,
) -> None:
    """Draw few-shot training sets that share no sequence with the test set.

    OUT/10/train.csv holds the draws of 10 shots one after the other, OUT/test.csv the whole test set; train on one with
    data.dir=OUT/10 data.shots=10 data.draw=0.

    Example: cmgems labels draw gue/GUE/prom/prom_core_all -o draws --shots 10,100 --draws 10
    """
    from cmgems.data.columns import Columns
    from cmgems.data.draw_files import write_draws
    from cmgems.data.intervals import open_intervals
    from cmgems.errors import CmgemsError
    from cmgems.reading import Invalid
    from cmgems.runs.layout import SKIPPED

    try:
        numbers = [int(part) for part in shots.split(",")]
    except ValueError:
        raise CmgemsError(
            "not whole numbers", where="--shots", why=repr(shots), fix="give them as 10,50,100"
        ) from None
    intervals = open_intervals(store, aliases, window)
    columns = Columns(sequence, (label,), ("--sequence", "--label"), intervals)
    invalid = Invalid("--skip-invalid", skip_invalid)
    written = write_draws(folder, out, numbers, draws, seed, columns, invalid)
    for number in written.shots:
        typer.echo(
            f"{out / str(number)}: {draws} draws of {number} rows of each of {len(written.classes)} classes"
        )
    typer.echo(f"{out / 'test.csv'}: {written.test_rows:,} rows")
    typer.echo(
        f"never drawn: {written.repeated:,} training rows that repeat another, "
        f"{written.leaked:,} that are in the test set"
    )
    if invalid.skipped:
        typer.echo(f"skipped: {len(invalid.skipped):,} rows that cannot be used, named in {out / SKIPPED}")
    for number, why in written.skipped.items():
        typer.echo(f"skipped: {number} shots: {why}")


@app.command()
def silencers(
    fasta: Annotated[Path, typer.Argument(metavar="FASTA", help="Silencers, e.g. of SilencerDB.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder to make.")],
    max_bp: Annotated[int, typer.Option(metavar="BP", help="Leave out longer ones.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the negatives and the split.")] = 0,
) -> None:
    """Make a labelled set of silencers (1) and of the same sequences with pieces replaced at random (0).

    A silencer and its negative are both in train.csv, or, for a tenth of them, both in test.csv.

    Example: cmgems labels silencers High_throughput_Homo_sapiens.fa -o silencer
    """
    from cmgems.data.silencers import silencer_set, write_silencer_set

    made = silencer_set(fasta, max_bp, seed)
    write_silencer_set(made, out)
    for split, pairs in (("train", made.train), ("test", made.test)):
        typer.echo(f"{out / split}.csv: {len(pairs):,} silencers and as many negatives")
    for reason, count in sorted(made.skipped.items()):
        typer.echo(f"skipped: {count:,} {reason}")
