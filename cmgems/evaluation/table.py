"""The table of an evaluation: mean and spread over runs, leaks and collapse, beside published scores."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cmgems.evaluation.benchmarks import BENCHMARKS, GUE
from cmgems.evaluation.published import average, published_gue
from cmgems.evaluation.results import METRICS, Results, write_results
from cmgems.evaluation.statistics import MeanSD
from cmgems.files import write_text
from cmgems.runs.summary import LEAKED, NOVEL, PARTS, SEQUENCES_CUT, TEST_SEQUENCES

# The published models that a terminal has room for; the files have all.
SHOWN = ("DNABERT-6mer", "NT-2500M-multi", "DNABERT-2")

Cells = list[list[str]]


def mean_and_sd(score: MeanSD) -> str:
    """'71.2 ± 0.8', '71.2' of one run, '–' of none."""
    if not score.count:
        return "–"
    return f"{score.mean:.1f}" + (f" ± {score.sd:.1f}" if score.count > 1 else "")


def score_table(results: Results) -> tuple[list[str], Cells]:
    """Header and rows: every metric in percent, and what to know about the test set.

    "leaks" counts the test rows that are in train, "clean" is the dataset's metric without them.
    """
    found, metrics = results.lines(), results.metrics()
    few = any(line.shots is not None for line in found)
    header = ["dataset", *(["shots"] if few else []), "runs", *metrics.values(), "leaks"]
    header += [] if results.exclude_leaks else ["clean"]
    rows = []
    for line in found:
        leaked = line.counts(LEAKED)
        row = [line.dataset, *([str(line.shots or "all")] if few else []), str(len(line.records))]
        row += [mean_and_sd(line.score(metric)) for metric in metrics]
        row.append(str(leaked[0]) if len(set(leaked)) == 1 else f"{min(leaked)} to {max(leaked)}")
        if not results.exclude_leaks:
            shown = any(leaked) and line.metric in metrics
            row.append(mean_and_sd(line.score(line.metric, "clean")) if shown else "")
        rows.append([*row, line.remarks])
    return [*header, "remarks"], rows


def yardstick_table(results: Results) -> tuple[list[str], Cells]:
    """Header and rows: the metric of each dataset beside the best baseline's, on all test rows and on the novel ones.

    No rows if no training set has been audited.
    """
    found = results.lines()
    if not any(line.baselines() for line in found):
        return [], []
    few = any(line.shots is not None for line in found)
    header = [
        "dataset",
        *(["shots"] if few else []),
        "model",
        "baseline",
        "novel",
        "model, novel",
        "baseline, novel",
    ]
    rows = []
    for line in found:
        row = [line.dataset, *([str(line.shots or "all")] if few else [])]
        row += [mean_and_sd(score(line.metric)) for score in (line.score, line.baseline_score)]
        novel = sorted({record.summary[NOVEL] for record in line.records if NOVEL in record.summary})
        row.append(" to ".join(map(str, dict.fromkeys(novel[:1] + novel[-1:]))) or "–")
        row += [mean_and_sd(score(line.metric, "novel")) for score in (line.score, line.baseline_score)]
        rows.append([*row, METRICS.get(line.metric, line.metric), line.baseline_title])
    return [*header, "metric", "best baseline"], rows


def published_table(results: Results, wanted: Sequence[str] = ()) -> tuple[list[str], Cells]:
    """Header and rows: GUE's metric of each dataset beside the published ones, and the average over these datasets.

    Args:
        results: If they are not of GUE there are no rows.
        wanted: Published models to show; () for all.
    """
    published = published_gue()
    found = [line for line in results.lines() if results.gue and line.shots is None]
    if not found:
        return [], []
    models = list(wanted or published[found[0].dataset])
    rows = []
    # As published, whatever chose the epoch here.
    scores = {line.dataset: line.score(_published_metric(line.dataset)) for line in found}
    for dataset, score in scores.items():
        row = [dataset, METRICS[_published_metric(dataset)], mean_and_sd(score)]
        rows.append(row + [f"{published[dataset][model]:.1f}" for model in models])
    ours = MeanSD.of([score.mean for score in scores.values()])
    theirs = average(line.dataset for line in found)
    last = [f"average ({len(found)} of {len(GUE)})", "", f"{ours.mean:.1f}"]
    rows.append(last + [f"{theirs[model]:.1f}" for model in models])
    return ["dataset", "metric", "this model", *models], rows


def _published_metric(dataset: str) -> str:
    gue = BENCHMARKS["gue"]
    return gue.metrics.get(dataset, gue.metric)


def notes(results: Results) -> list[str]:
    """What the tables do not show, one line each."""
    found = skip_notes(results.skipped)
    if results.absent:
        found.append(f"not found, {len(results.absent)}: {', '.join(results.absent)}")
    return found


def skip_notes(skipped: Mapping[str, str]) -> list[str]:
    """A line for each title and the reason why it was skipped."""
    return [f"skipped {i}/{len(skipped)}: {t}: {reason}" for i, (t, reason) in enumerate(skipped.items(), 1)]


def markdown_list(items: Sequence[str]) -> str:
    """A list in markdown."""
    return "\n".join(f"- {item}" for item in items)


def caption(results: Results) -> str:
    """What the figures are."""
    leaks = "without" if results.exclude_leaks else "with"
    return (
        f"{results.model}: test scores in percent, mean ± sd over runs, {leaks} test rows that are in train"
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in markdown."""
    lines = [[cell.replace("|", r"\|") for cell in cells] for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def write(results: Results, folder: Path) -> None:
    """Write results.json, table.md and table.csv."""
    write_results(results, folder)
    write_text(folder / "table.md", markdown(results))
    write_text(folder / "table.csv", as_csv(results))


def markdown(results: Results) -> str:
    """The tables and the notes."""
    parts = [caption(results)]
    for header, rows in (score_table(results), yardstick_table(results), published_table(results)):
        if rows:
            parts.append(markdown_table(header, rows))
    parts += [markdown_list(found)] if (found := notes(results)) else []
    return "\n\n".join(parts) + "\n"


def as_csv(results: Results) -> str:
    """One row a dataset and number of shots: means and deviations in percent, empty where undefined."""
    published = published_gue()
    models = list(next(iter(published.values()))) if results.gue else []
    measures = [(metric, part) for metric in results.metrics() for part in PARTS]
    header = ["dataset", "shots", "runs", "metric"]
    for metric, part in measures:
        header += [f"{'' if part == 'all' else f'{part} '}{metric}{end}" for end in ("", " sd")]
    header += ["test sequences", "test sequences in train", "novel test sequences"]
    header += [
        "collapsed runs",
        "sequences cut",
        "baseline",
        "baseline score",
        "novel baseline score",
        "skipped",
    ]
    rows = []
    for line in results.lines():
        row: list[Any] = [line.dataset, line.shots, len(line.records), line.metric]
        for metric, part in measures:
            score = line.score(metric, part)
            row += [score.mean, score.sd]
        row += [max(line.counts(TEST_SEQUENCES)), max(line.counts(LEAKED)), min(line.counts(NOVEL))]
        row += [line.collapsed]
        row += [
            max(line.counts(SEQUENCES_CUT)),
            line.baseline_title,
        ]
        row += [line.baseline_score(line.metric).mean, line.baseline_score(line.metric, "novel").mean, ""]
        figures = published[line.dataset] if results.gue and line.shots is None else {}
        rows.append([*row, *(figures.get(model) for model in models)])
    blank, unpublished = [None] * (len(header) - 2), [None] * len(models)
    rows += [[title, *blank, reason, *unpublished] for title, reason in results.skipped.items()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, *models])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def show(results: Results) -> None:
    """Print the tables, narrow enough for a terminal, and the notes."""
    console = Console()
    print(caption(results))
    header, rows = score_table(results)
    scores = [name for name in header if name != "remarks"], [row[:-1] for row in rows]
    header, rows = yardstick_table(results)
    beside = [name.replace(", ", ",\n") for name in header[:-2]], [row[:-2] for row in rows]
    for header, rows in (scores, beside, published_table(results, SHOWN)):
        if rows:
            table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
            for name in header:
                table.add_column(name, no_wrap=True)
            for row in rows:
                table.add_row(*(escape(cell.replace(" ± ", "±")) for cell in row))
            console.print(table, "")
    remarks = [f"{line.title}: {line.remarks}" for line in results.lines() if line.remarks]
    titles = [(line.title, line.baseline_title) for line in results.lines()]
    remarks += [f"{title}: best baseline: {which}" for title, which in titles if which]
    for note in [*remarks, *notes(results)]:
        print(note)
