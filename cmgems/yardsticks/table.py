"""An audit as tables for a terminal or a page."""

from __future__ import annotations

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cmgems.runs.summary import METRIC_LABELS
from cmgems.yardsticks.audit import Audit, Likeness
from cmgems.yardsticks.baselines import best_title

Cells = list[list[str]]
LIKENESS = ["rows of", "exact", "reverse", "near", "twins", "other label"]
ASSOCIATIONS = ["labels of train by", "measure", "value", "p"]


def show_audit(found: Audit, title: str) -> None:
    """Print an audit."""
    console = Console()
    rows = ", ".join(f"{count:,} {split}" for split, count in found.rows.items())
    print(f"{title}: {rows}", flush=True)
    for header, cells in tables(found):
        grid = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
        for name in header:
            grid.add_column(name, no_wrap=name in LIKENESS)
        for row in cells:
            grid.add_row(*map(escape, row))
        console.print(grid, "")
    for line in [*remarks(found), *found.notes]:
        print(line)


def tables(found: Audit) -> list[tuple[list[str], Cells]]:
    """Headers and rows: likeness, associations, baselines; those that there are."""
    made = [(LIKENESS, [_likeness(one) for one in found.likeness])]
    if found.associations:
        associations = [
            [one.property, f"{one.measure} of {one.label}", _number(one.value), _chance(one.p)]
            for one in found.associations
        ]
        made.append((ASSOCIATIONS, associations))
    if found.baselines is not None:
        metric = found.baselines.metric
        label = METRIC_LABELS.get(metric, metric)
        header = [
            "baseline",
            f"the best by {found.baselines.chosen_on}",
            label,
            f"test {label}",
            "novel rows",
        ]
        rows = []
        for one in found.baselines.families:
            scores = (one.chosen_by, one.score(metric), one.score(metric, "novel"))
            rows.append([one.family, one.name, *map(_number, scores)])
        made.append((header, rows))
    return made


def remarks(found: Audit) -> list[str]:
    """What the tables do not show, one line each."""
    test = found.rows["test"]
    lines = [f"{found.novel:,} of {test:,} test rows are novel: without copy or twin in train or dev"]
    if found.twin_rules and any(one.twins for one in found.likeness):
        lines.append(
            "the label that a row's twins have, without any model: MCC "
            f"{found.twin_rules['same']:.3f}; the one they do not have: {found.twin_rules['other']:.3f}"
        )
    if found.baselines is not None:
        lines.append(f"best baseline: {best_title([found.baselines])}")
    return lines


def _likeness(one: Likeness) -> list[str]:
    counts = [one.exact, one.reverse, one.near, one.twins, one.twins_relabelled]
    return [f"{one.split} in {one.among}", *(_share(count, one.rows) for count in counts)]


def _share(count: int | None, rows: int) -> str:
    """'18 (2.9 %)', '0'."""
    if count is None:
        return "–"
    return f"{count:,} ({100 * count / rows:.1f} %)" if count else "0"


def _chance(p: float) -> str:
    return "< 1e-300" if p < 1e-300 else _number(p, ".2g")


def _number(value: float, how: str = ".3f") -> str:
    return "–" if math.isnan(value) else format(value, how)
