"""The part of a report that is about labelled data: fine-tuning runs, and the tables of evaluations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from cmgems.errors import DataError
from cmgems.report import page
from cmgems.report.runs.charts import Chart, Line, lines_of
from cmgems.report.runs.logged import LoggedRun
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


def finetuning_section(runs: Sequence[LoggedRun], name: str) -> str:
    """All fine-tuning runs: their test scores, and how they got there."""
    shown = runs[:MOST_COMPARED]
    scores = [
        key
        for key in dict.fromkeys(key for run in runs for record in run.records for key in record)
        if key.startswith("dev_")
    ]
    charts = [_loss_chart(shown, name), *_dev_charts(shown, scores, name)]
    notes = []
    if len(runs) > MOST_COMPARED:
        notes.append(
            page.paragraph(f"The curves show the first {MOST_COMPARED} of {len(runs)} runs.", "note")
        )
    if not scores:
        notes.append(page.paragraph("Dev curves are left out: no run has a dev set.", "note"))
    going = [run.name for run in runs if not run.summary]
    if going:
        notes.append(page.paragraph(f"No test scores yet: {', '.join(going)} has not finished.", "note"))
    parts = [
        page.group(f"{name}-scores", "Test scores", _score_table(runs)),
        *notes,
        page.group(
            f"{name}-curves", "Curves", page.figures([chart.html() for chart in charts if chart.lines])
        ),
    ]
    return page.section(name, "Fine-tuning", "".join(parts))


def _loss_chart(runs: Sequence[LoggedRun], name: str) -> Chart:
    caption = "Of single batches; shaded is the range of the steps that a point stands for."
    return Chart(f"{name}-loss", "Training loss", caption, "loss", lines_of(runs, "loss"))


def _dev_charts(runs: Sequence[LoggedRun], scores: Sequence[str], name: str) -> list[Chart]:
    """A chart of all scores of one run; of several runs, a chart for each score."""
    caption = "After each epoch; the best epoch is scored on the test set."
    if len(runs) == 1:
        named = [(key.removeprefix("dev_").replace("_", " "), runs[0].series(key)) for key in scores]
        lines = tuple(Line(label, *series, dots=True) for label, series in named if len(series[0]))
        return [Chart(f"{name}-dev", "Dev scores", caption, "score", lines)]
    return [
        Chart(
            f"{name}-{key.replace('_', '-')}",
            f"Dev {(label := key.removeprefix('dev_').replace('_', ' '))}",
            caption,
            label,
            lines_of(runs, key, dots=True),
        )
        for key in scores
    ]


def _score_table(runs: Sequence[LoggedRun]) -> str:
    """A row a run: its scores, the other figures of its summary, and the settings that any run sets."""
    columns = {label: [run.setting(key) for run in runs] for label, key in SETTINGS.items()}
    settings = {
        label: values for label, values in columns.items() if any(value is not None for value in values)
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
    return page.table(["run", *map(label, ordered), *settings], rows, "Test scores of the fine-tuning runs")


def _brief(value: object) -> object:
    """The last parts of a path."""
    return "/".join(Path(value).parts[-2:]) if isinstance(value, str) and "/" in value else value


def evaluation_section(table: Path, name: str) -> str:
    """The tables that an evaluation or a comparison wrote.

    Args:
        table: The Markdown file.
        name: Id of the section.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        text = table.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError("cannot read the table", where=table, why=str(error)) from error
    title = f"Evaluation: {table.resolve().parent.name}"
    return page.section(name, title, markdown_html(text, title))


def markdown_html(text: str, label: str) -> str:
    """Tables, lists, headings, paragraphs, bold and code of Markdown; pictures are left out.

    Args:
        text: As our recipes write it.
        label: Names the tables to a screen reader.
    """
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.splitlines() if not line.startswith("![")]
        if not lines:
            continue
        if lines[0].startswith("|"):
            header, *cells = [_cells(line) for line in lines]
            rows = [row for row in cells if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
            parts.append(page.table(header, rows, f"{label}, table"))
        elif lines[0].startswith("#"):
            parts.append(f"<h3>{escape(lines[0].lstrip('# '))}</h3>")
        elif lines[0].startswith("- "):
            parts.append(f"<ul>{''.join(f'<li>{escape(line[2:])}</li>' for line in lines)}</ul>")
        else:
            parts.append(page.paragraph(" ".join(lines)))
    return re.sub(r"(?<=>)[^<>]+(?=<)", lambda text: _inline(text.group()), "".join(parts))


def _cells(line: str) -> list[str]:
    """Of a row of a table; a bar that belongs to a cell has a backslash before it."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _inline(text: str) -> str:
    """Bold and code of a piece of text between two tags."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
