"""The report of `cmgems compare`: its tables, as Markdown or as parts of a page, and the learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cmgems.evaluation.comparison import Comparison, Pretraining, Score, overall, rows
from cmgems.evaluation.results import METRICS
from cmgems.evaluation.statistics import Difference, MeanSD
from cmgems.evaluation.table import skip_notes
from cmgems.files import write_text
from cmgems.report.figure import BLUE, GREEN, GREY, ORANGE, SKY_BLUE, VERMILLION, save_png
from cmgems.report.records import BulletList, Group, Mark, Paragraph, Part, Table
from cmgems.report.render import render
from cmgems.runs.health import mean_health

COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, SKY_BLUE, "#CC79A7", "#F0E442", "#000000", GREY)
LINES = ("-", "--", ":", "-.")
CURVE_STEPS = 8
MOST_SHADED = 4  # ranges of more strategies hide each other
NOTE = (
    "± is the standard deviation over runs. Differences are means over pairs of runs (same seed, same training "
    "examples), with 95 % intervals bootstrapped over the pretraining seeds; the fine-tuning runs of a seed are "
    "averaged first. With three seeds an interval is no more than their range. An interval in bold leaves out 0."
)


def write_comparison(comparison: Comparison, baseline: str, skipped: Mapping[str, str] | None = None) -> Path:
    """Write report.md, with curves.png beside it, from the runs that have finished; returns its path.

    Args:
        comparison: The runs.
        baseline: The strategy with which the others are compared.
        skipped: Titles of datasets that could not be used, and why.
    """
    parts = comparison_parts(comparison, baseline, skipped, "")
    if runs := comparison.pretrainings():
        plot_curves(runs, comparison.strategies, comparison.out / "curves.png")
        parts.insert(0, Paragraph("![Validation loss of every strategy](curves.png)"))
    path = comparison.out / "report.md"
    text = render("markdown.md", title="Masking strategies compared", parts=parts)
    write_text(path, text.strip() + "\n")
    return path


def comparison_parts(
    comparison: Comparison, baseline: str, skipped: Mapping[str, str] | None, name: str
) -> list[Part]:
    """The tables of a comparison, for a page or for Markdown; ``name`` goes before the ids of its groups."""
    strategies, parts = comparison.strategies, list[Part]()
    if runs := comparison.pretrainings():
        tables: list[Part] = [_pretraining_table(runs, strategies, baseline)]
        if (curves := _curve_table(runs, strategies)).rows:
            tables.append(curves)
        tables += _health(runs, strategies)
        parts.append(Group(f"{name}-pretraining", "Pretraining", tables))
    for metric in comparison.metrics():
        if scores := comparison.scores(metric):
            tables = [
                _scores_table(scores, strategies),
                Paragraph(f"Difference from {baseline}:"),
                _differences_table(scores, strategies, baseline),
            ]
            parts.append(Group(f"{name}-{metric.replace('_', '-')}", f"Test {METRICS[metric]}", tables))
    parts.append(Paragraph(NOTE if parts else "No run has finished yet."))
    return [*parts, BulletList(skip_notes(skipped))] if skipped else parts


def plot_curves(pretrainings: Sequence[Pretraining], strategies: Sequence[str], path: Path) -> None:
    """Draw the fixed-mask validation loss of each strategy, mean over seeds, of a few strategies the range too."""
    figure = Figure(figsize=(8, 5 + 0.25 * len(strategies)), layout="constrained")
    axes = figure.add_subplot()
    for number, strategy in enumerate(strategies):
        steps, losses_RS = _curves([p for p in pretrainings if p.strategy == strategy])
        if not steps:
            continue
        colour, line = COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS) % len(LINES)]
        axes.plot(steps, losses_RS.mean(0), line, color=colour, label=strategy)
        if len(strategies) <= MOST_SHADED:
            low, high = losses_RS.min(0), losses_RS.max(0)
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("validation loss, one fixed mask (nats per masked token)")
    axes.spines[["top", "right"]].set_visible(False)
    # A strategy's options make its name long: one column.
    figure.legend(loc="outside lower left", fontsize="small", frameon=False)
    save_png(figure, path)


def _curves(runs: Sequence[Pretraining]) -> tuple[list[int], np.ndarray]:
    """The steps at which all runs validated, and the losses there, one row a run."""
    curves = [dict(run.curve) for run in runs]
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    return steps, np.array([[curve[step] for step in steps] for curve in curves])


def _pretraining_table(runs: Sequence[Pretraining], strategies: Sequence[str], baseline: str) -> Table:
    losses = [Score(run.strategy, run.seed, "", run.loss) for run in runs if not math.isnan(run.loss)]
    compared = {row.strategy: row for row in rows(losses, strategies, baseline)}
    lines = []
    for strategy in strategies:
        mine = [run for run in runs if run.strategy == strategy]
        if not mine:
            continue
        switches = ["never" if run.switched_at is None else f"{run.switched_at:,}" for run in mine]
        row = compared.get(strategy)
        lines.append(
            [
                Mark(strategy, "code"),
                len(mine),
                _mean([100 * run.masked_share for run in mine], " %"),
                " / ".join(switches) if set(switches) != {"never"} else "-",
                _mean([run.tokens / 1e6 for run in mine], " M"),
                _mean([run.seconds / 60 for run in mine]),
                _spread(row.values) if row else "",
                _signed(row.difference) if row else "",
            ]
        )
    head = ["strategy", "runs", "masked", "switched at step", "tokens seen", "minutes"]
    headings = [*head, "validation loss at the end", f"difference from {baseline}"]
    return Table(headings, lines, "Pretraining runs")


def _health(runs: Sequence[Pretraining], strategies: Sequence[str]) -> list[Part]:
    """The means of the strategies beside those of guesses without a model; nothing if no run recorded them."""
    known = [(run.strategy, run.health) for run in runs]
    found = {
        name: mean_health([health for strategy, health in known if strategy == name and health])
        for name in strategies
    }
    healths = {name: health for name, health in found.items() if health}
    if not healths:
        return []
    guesses = {row[0]: row[1:3] for row in next(iter(healths.values())).rows[:-1]}
    guesses |= {name: health.rows[-1][1:3] for name, health in healths.items()}
    rows = [
        [Mark(name, "code") if name in healths else name, _nats(loss), _percent(right)]
        for name, (loss, right) in guesses.items()
    ]
    words = [f"{name}: {health.in_words()}" for name, health in healths.items()]
    title = "Guesses under the fixed mask"
    return [Table([title.lower(), "loss (nats)", "right"], rows, title), BulletList(words)]


def _nats(loss: float | None) -> str:
    return "not applicable" if loss is None else f"{loss:.3f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _curve_table(runs: Sequence[Pretraining], strategies: Sequence[str]) -> Table:
    """Mean losses at a few steps spread over the run."""
    lines, shown = [], list[str]()
    for strategy in strategies:
        steps, losses_RS = _curves([run for run in runs if run.strategy == strategy])
        if not steps:
            continue
        chosen = np.unique(np.linspace(0, len(steps) - 1, CURVE_STEPS).round().astype(int))
        shown = [f"{steps[i]:,}" for i in chosen]
        lines.append([Mark(strategy, "code"), *(f"{losses_RS[:, i].mean():.3f}" for i in chosen)])
    return Table(["validation loss at step", *shown], lines, "Validation loss of every strategy")


def _scores_table(datasets: Mapping[str, Sequence[Score]], strategies: Sequence[str]) -> Table:
    cells = {
        dataset: {row.strategy: _spread(row.values) for row in rows(scores, strategies, "")}
        for dataset, scores in datasets.items()
    }
    return _by_strategy(strategies, cells, "Test scores")


def _differences_table(
    datasets: Mapping[str, Sequence[Score]], strategies: Sequence[str], baseline: str
) -> Table:
    """One column a dataset, then all datasets together."""
    others = [strategy for strategy in strategies if strategy != baseline]
    cells: dict[str, dict[str, object]] = {
        dataset: {row.strategy: _signed(row.difference) for row in rows(scores, strategies, baseline)}
        for dataset, scores in datasets.items()
    }
    over_all = {other: found for other in others if (found := overall(datasets, other, baseline)) is not None}
    cells["all datasets"] = {other: _signed(found.difference) for other, found in over_all.items()}
    cells["pairs better"] = {other: f"{found.better} of {found.pairs}" for other, found in over_all.items()}
    return _by_strategy(others, cells, f"Difference from {baseline}")


def _by_strategy(strategies: Sequence[str], cells: Mapping[str, Mapping[str, object]], label: str) -> Table:
    """A row for each strategy that has any cell, columns by their headings."""
    lines = [
        [Mark(strategy, "code"), *(found.get(strategy, "") for found in cells.values())]
        for strategy in strategies
        if any(strategy in found for found in cells.values())
    ]
    return Table(["strategy", *cells], lines, label)


def _mean(values: Sequence[float], unit: str = "") -> str:
    """Of the values that are known; empty if none is."""
    known = [value for value in values if not math.isnan(value)]
    return f"{np.mean(known):.1f}{unit}" if known else ""


def _spread(values: MeanSD) -> str:
    return f"{values.mean:.3f}" + ("" if math.isnan(values.sd) else f" ± {values.sd:.3f}")


def _signed(difference: Difference | None) -> str | Mark:
    if difference is None:
        return ""
    if difference.pairs == 1:
        return f"{difference.mean:+.3f}"
    text = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    return Mark(text, "strong") if difference.clear else text
