"""The part of a report that is about labelled data: fine-tuning runs, evaluations and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmgems.evaluation.comparison import read_comparison
from cmgems.evaluation.results import read_results
from cmgems.evaluation.table import caption, notes, published_table, score_table, yardstick_table
from cmgems.report.comparison import comparison_parts
from cmgems.report.records import BulletList, Grid, Group, Paragraph, Part, Section, Table
from cmgems.report.runs.charts import Chart, Line, lines_of
from cmgems.report.runs.logged import LoggedRun
from cmgems.runs import RunReader
from cmgems.runs.summary import is_metric, label

MOST_COMPARED = 8
SETTINGS = {
    "data": "data.dir",
    "from": "model",
    "examples a class": "data.shots",
    "learning rate": "optim.lr",
    "epochs": "epochs",
    "seed": "seed",
}


def finetuning_section(runs: Sequence[LoggedRun], name: str) -> Section:
    """All fine-tuning runs: their test scores and their curves."""
    shown = runs[:MOST_COMPARED]
    keys = dict.fromkeys(key for run in runs for record in run.records for key in record)
    scores = [key for key in keys if key.startswith("dev_")]
    charts = [_loss_chart(shown, name), *_dev_charts(shown, scores, name)]
    notes = []
    if len(runs) > MOST_COMPARED:
        notes.append(f"The curves show the first {MOST_COMPARED} of {len(runs)} runs.")
    if not scores:
        notes.append("Dev curves are left out: no run has a dev set.")
    if going := [run.name for run in runs if not run.summary]:
        notes.append(f"No test scores yet: {', '.join(going)} has not finished.")
    parts: list[Part] = [
        Group(f"{name}-scores", "Test scores", [_score_table(runs)]),
        *(Paragraph(text, note=True) for text in notes),
        Group(f"{name}-curves", "Curves", [Grid([chart.figure() for chart in charts if chart.lines])]),
    ]
    return Section(name, "Fine-tuning", parts)


def _loss_chart(runs: Sequence[LoggedRun], name: str) -> Chart:
    caption = "Of single batches; shaded is the range over the steps that a point averages."
    return Chart(f"{name}-loss", "Training loss", caption, "loss", lines_of(runs, "loss"))


def _dev_charts(runs: Sequence[LoggedRun], scores: Sequence[str], section: str) -> list[Chart]:
    """A chart of all scores of one run; of several runs, a chart for each score."""
    caption = "After each epoch; the best epoch is scored on the test set."
    names = {key: key.removeprefix("dev_").replace("_", " ") for key in scores}
    if len(runs) == 1:
        series = [(name, runs[0].series(key)) for key, name in names.items()]
        lines = tuple(Line(name, *values, dots=True) for name, values in series if len(values[0]))
        return [Chart(f"{section}-dev", "Dev scores", caption, "score", lines)]
    return [
        Chart(
            f"{section}-{key.replace('_', '-')}", f"Dev {name}", caption, name, lines_of(runs, key, dots=True)
        )
        for key, name in names.items()
    ]


def _score_table(runs: Sequence[LoggedRun]) -> Table:
    """A row a run: its scores, the other figures of its summary, and the settings that any run sets."""
    columns = {name: [run.setting(key) for run in runs] for name, key in SETTINGS.items()}
    settings = {
        name: values for name, values in columns.items() if any(value is not None for value in values)
    }
    figures = dict.fromkeys(key for run in runs for key in run.summary)
    ordered = sorted(figures, key=lambda key: not is_metric(key))
    rows = [
        (
            run.name,
            *(run.summary.get(key) for key in ordered),
            *(_brief(values[i]) for values in settings.values()),
        )
        for i, run in enumerate(runs)
    ]
    return Table(["run", *map(label, ordered), *settings], rows, "Test scores of the fine-tuning runs")


def _brief(value: object) -> object:
    """The last parts of a path."""
    return "/".join(Path(value).parts[-2:]) if isinstance(value, str) and "/" in value else value


def evaluation_section(folder: Path, name: str) -> Section:
    """What an evaluation or a comparison found.

    Args:
        folder: Of ``cmgems run evaluate`` or ``cmgems compare``.
        name: Id of the section.

    Raises:
        DataError: if its results cannot be read.
    """
    called = folder.resolve().name
    if RunReader(folder).recipe == "compare":
        found = read_comparison(folder)
        parts = comparison_parts(found, found.baseline, found.skipped, name)
        return Section(name, f"Comparison of masking strategies: {called}", parts)
    results, title = read_results(folder), f"Evaluation: {called}"
    written = score_table(results), yardstick_table(results), published_table(results)
    tables = [Table(*table, title) for table in written if table[1]]
    remarks = [BulletList(lines)] if (lines := notes(results)) else []
    return Section(name, title, [Paragraph(caption(results)), *tables, *remarks])
