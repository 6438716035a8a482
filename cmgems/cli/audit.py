"""``cmgems labels audit``: what a labelled set lets a model know, and what scores without a model are."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.set_options import Sequence, SetAliases, SetStore, SkipRows, Window


class TaskName(StrEnum):
    """What the labels are."""

    classification = "classification"
    multi_label = "multi_label"
    regression = "regression"
    token_classification = "token_classification"


def audit(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with train and test files, dev if there is one.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="JSON file to write.")
    ] = None,
    task: Annotated[TaskName, typer.Option("--task", help="What the labels are.")] = TaskName.classification,
    store: SetStore = None,
    aliases: SetAliases = None,
    window: Window = None,
    sequence: Sequence = "sequence",
    label: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column of the labels [default: label].")
    ] = None,
    skip_invalid: SkipRows = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for copies and twins across the splits, and score baselines that need no model.

    Copies have the same letters, those of the other strand, or up to 10 % of edits; twins have the same length and
    dinucleotide counts. Baselines are fitted on train and chosen on dev: k-mer counts, k-mers by position, Markov
    chains, the labels of twins.

    Example: cmgems labels audit gue/GUE/mouse/2 -o audit.json
    """
    import json

    from cmgems.data.columns import Columns
    from cmgems.data.intervals import open_intervals
    from cmgems.reading import Invalid
    from cmgems.reading.records import skipped_path
    from cmgems.tasks import TASKS
    from cmgems.yardsticks import audit_folder, audit_values, write_audit
    from cmgems.yardsticks.table import show_audit

    intervals = open_intervals(store, aliases, window)
    columns = Columns(sequence, tuple(label or ["label"]), ("--sequence", "--label"), intervals)
    invalid = Invalid("--skip-invalid", skip_invalid)
    found = audit_folder(folder, TASKS.get(task.value), columns, invalid)
    if out is not None:
        write_audit(found, out)
        if skipped := invalid.report(skipped_path(out)):
            typer.echo(skipped, err=True)
    if as_json:
        typer.echo(json.dumps(audit_values(found), indent=2))
    else:
        show_audit(found, str(folder))
