"""The report of `cmgems compare`: markdown, and the learning curves as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cmgems.evaluation.comparison import Comparison, Pretraining, Score, overall, rows
from cmgems.evaluation.results import METRICS
from cmgems.evaluation.statistics import Difference, MeanSD
from cmgems.evaluation.table import markdown_list, markdown_table, skip_notes
from cmgems.files import write_text
from cmgems.report.figure import BLUE, GREEN, GREY, ORANGE, SKY_BLUE, VERMILLION, save_png

COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, SKY_BLUE, "#CC79A7", "#F0E442", "#000000", GREY)
LINES = ("-", "--", ":", "-.")
CURVE_STEPS = 8
MOST_SHADED = 4  # ranges of more strategies hide each other
NOTE = (
    "± is the standard deviation over runs. Differences are means over pairs of runs (same seed, same training "
    "examples), with 95 % intervals bootstrapped over the pretraining seeds, whose fine-tuning runs are averaged "
    "first. Of three seeds an interval is no more than their range. **Bold**: it leaves out 0."
)


def write_comparison(comparison: Comparison, baseline: str, skipped: Mapping[str, str] | None = None) -> Path:
    """Write report.md, with curves.png beside it, from the runs that have finished; returns its path.

    Args:
        comparison: The runs.
        baseline: The strategy that the others are held against.
        skipped: Titles of tasks that could not be used, and why.
    """
    strategies, runs = comparison.strategies, comparison.pretrainings()
    parts = ["# Masking strategies compared"]
    if runs:
        plot_curves(runs, strategies, comparison.out / "curves.png")
        parts += ["## Pretraining", _pretraining_table(runs, strategies, baseline)]
        parts += ["![Validation loss of every strategy](curves.png)", _curve_table(runs, strategies)]
    for metric in comparison.metrics():
        if scores := comparison.scores(metric):
            parts += [f"## Test {METRICS[metric]}", _scores_table(scores, strategies)]
            parts += [f"Less `{baseline}`:", _differences_table(scores, strategies, baseline)]
    parts.append(NOTE if len(parts) > 1 else "No run has finished yet.")
    if skipped:
        parts.append(markdown_list(skip_notes(skipped)))
    path = comparison.out / "report.md"
    write_text(path, "\n\n".join(parts) + "\n")
    return path


def plot_curves(pretrainings: Sequence[Pretraining], strategies: Sequence[str], path: Path) -> None:
    """Draw the fixed-mask validation loss of each strategy, mean over seeds, of a few strategies the range too."""
    figure = Figure(figsize=(8, 5 + 0.15 * len(strategies)), layout="constrained")
    axes = figure.add_subplot()
    for number, strategy in enumerate(strategies):
        steps, losses_RS = _curves([p for p in pretrainings if p.strategy == strategy])
        if not len(losses_RS):
            continue
        colour, line = COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS) % len(LINES)]
        axes.plot(steps, losses_RS.mean(0), line, color=colour, label=strategy)
        if len(strategies) <= MOST_SHADED:
            axes.fill_between(
                steps, losses_RS.min(0), losses_RS.max(0), color=colour, alpha=0.15, linewidth=0
            )
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("validation loss, one fixed mask (nats per masked token)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_png(figure, path)


def _curves(runs: Sequence[Pretraining]) -> tuple[list[int], np.ndarray]:
    """The steps at which all runs validated, and the losses there, one row a run."""
    curves = [dict(run.curve) for run in runs]
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    return steps, np.array([[curve[step] for step in steps] for curve in curves])


def _pretraining_table(runs: Sequence[Pretraining], strategies: Sequence[str], baseline: str) -> str:
    losses = [Score(run.strategy, run.seed, "", run.loss) for run in runs]
    lines = []
    for row in rows(losses, strategies, baseline):
        mine = [run for run in runs if run.strategy == row.strategy]
        switches = ["never" if run.switched_at is None else f"{run.switched_at:,}" for run in mine]
        lines.append(
            [
                f"`{row.strategy}`",
                str(len(mine)),
                f"{100 * np.mean([run.masked_share for run in mine]):.1f} %",
                " / ".join(switches) if set(switches) != {"never"} else "-",
                f"{np.mean([run.tokens for run in mine]) / 1e6:.1f} M",
                f"{np.mean([run.seconds for run in mine]) / 60:.1f}",
                _spread(row.values),
                _signed(row.difference),
            ]
        )
    head = ["strategy", "runs", "masked", "switched at step", "tokens seen", "minutes"]
    return markdown_table([*head, "validation loss at the end", f"less `{baseline}`"], lines)


def _curve_table(runs: Sequence[Pretraining], strategies: Sequence[str]) -> str:
    """Mean losses at a few steps spread over the run."""
    lines, shown = [], None
    for strategy in strategies:
        steps, losses_RS = _curves([run for run in runs if run.strategy == strategy])
        if not steps:
            continue
        chosen = np.unique(np.linspace(0, len(steps) - 1, CURVE_STEPS).round().astype(int))
        shown = [f"{steps[i]:,}" for i in chosen]
        lines.append([f"`{strategy}`", *(f"{losses_RS[:, i].mean():.3f}" for i in chosen)])
    return markdown_table(["validation loss at step", *(shown or [])], lines)


def _scores_table(tasks: Mapping[str, Sequence[Score]], strategies: Sequence[str]) -> str:
    cells = {
        task: {row.strategy: _spread(row.values) for row in rows(scores, strategies, "")}
        for task, scores in tasks.items()
    }
    return _by_strategy(strategies, cells)


def _differences_table(tasks: Mapping[str, Sequence[Score]], strategies: Sequence[str], baseline: str) -> str:
    """One column a task, then all tasks together."""
    others = [strategy for strategy in strategies if strategy != baseline]
    cells = {
        task: {row.strategy: _signed(row.difference) for row in rows(scores, strategies, baseline)}
        for task, scores in tasks.items()
    }
    over_all = {other: found for other in others if (found := overall(tasks, other, baseline)) is not None}
    cells["all tasks"] = {other: _signed(found.difference) for other, found in over_all.items()}
    cells["pairs better"] = {other: f"{found.better} of {found.pairs}" for other, found in over_all.items()}
    return _by_strategy(others, cells)


def _by_strategy(strategies: Sequence[str], cells: Mapping[str, Mapping[str, str]]) -> str:
    """A row for each strategy that has any cell, columns by their headings."""
    lines = [
        [f"`{strategy}`", *(found.get(strategy, "") for found in cells.values())]
        for strategy in strategies
        if any(strategy in found for found in cells.values())
    ]
    return markdown_table(["strategy", *cells], lines)


def _spread(values: MeanSD) -> str:
    return f"{values.mean:.3f}" + ("" if math.isnan(values.sd) else f" ± {values.sd:.3f}")


def _signed(difference: Difference | None) -> str:
    if difference is None:
        return ""
    if difference.pairs == 1:
        return f"{difference.mean:+.3f}"
    text = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    return f"**{text}**" if difference.clear else text
