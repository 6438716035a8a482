"""``cmgems explain``: what a model looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli import launch
from cmgems.cli.inference import (
    Aliases,
    BatchTokens,
    Column,
    Device,
    DeviceChoice,
    ModelPath,
    NProcPerNode,
    Overlap,
    Precision,
    PrecisionChoice,
    SequencesPath,
    SkipInvalid,
    Store,
    opened,
    write_once,
)
from cmgems.cli.outcome import wrote
from cmgems.cli.recipes import Plugins

Layer = Annotated[
    int,
    typer.Option("--layer", help="Whose attention: 1 for the first layer; -1 the last, -2 the one before."),
]
HeadNumber = Annotated[
    int | None, typer.Option("--head", help="Which head, from 1; the mean over all if left out.")
]
Label = Annotated[
    str | None,
    typer.Option("--label", help="Class, label or quantity to explain; the likeliest one if left out."),
]


def explain(
    context: typer.Context,
    model: ModelPath,
    sequences: SequencesPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    layer: Layer = -1,
    head: HeadNumber = None,
    label: Label = None,
    importance: Annotated[
        bool, typer.Option(help="Hide every base in turn and ask again: a forward pass a base.")
    ] = True,
    store: Store = None,
    aliases: Aliases = None,
    column: Column = "sequence",
    skip_invalid: SkipInvalid = False,
    overlap: Overlap = None,
    batch_tokens: BatchTokens = None,
    device: DeviceChoice = Device.auto,
    precision: PrecisionChoice = Precision.auto,
    nproc_per_node: NProcPerNode = 1,
    plugin: Plugins = None,
) -> None:
    """Show what a model attends to in sequences, and how much each base matters to its answer.

    Writes bases.csv (a row a base), explain.html (the first 20 sequences) and their figures as PNG.

    Example: cmgems explain runs/ft seqs.fa -o explained
    """
    from cmgems.files import check_new
    from cmgems.report.folders import SHOWN, write_explained

    check_new(out)
    launch.start_again(context, nproc_per_node)
    with opened(
        model, sequences, out, skip_invalid, device=device, precision=precision, batch_tokens=batch_tokens,
        overlap=overlap, plugins=plugin,
    ) as (loaded, invalid):  # fmt: skip
        explained = loaded.iter_explain(
            sequences, layer=layer, head=head, label=label, with_importance=importance, mapped=SHOWN,
            store=store, aliases=aliases, column=column, skip_invalid=invalid, progress=True,
        )  # fmt: skip
        note = f"{loaded.name}. {loaded.attention_reader(layer, head).describe()}"

        def write() -> str:
            count, bases = write_explained(out, explained, note)
            return f"{count:,} sequences, {bases:,} bases"

        said = write_once(loaded, explained, write)
    wrote(out, said)
