"""Curves over the steps of a run: lines, the curriculum's phases under them, and the numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from cmgems.report.records import Figure, KeyEntry, Table, cell_text
from cmgems.report.runs.logged import Floats, LoggedRun
from cmgems.report.runs.phases import Phase
from cmgems.report.svg import inline_svg
from cmgems.report.theme import BACK, COLOURS, FONT, TEXT, new_figure, page_style, percent

MOST_POINTS = 120
TABLE_ROWS = 20
ROUND = (1, 2, 2.5, 5, 10)
DASHES = ("-", "--")
# Of strategies, in the order of their first step; the first colour is the curve's.
PHASE_COLOURS = (2, 1, 3, 4, 0)
LETTER = 0.018  # of the ribbon's width


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        label: What it is.
        steps: float64 [N], ascending.
        values: float64 [N], finite.
        dots: Whether each value is marked: few, and all meant to be seen.
    """

    label: str
    steps: Floats
    values: Floats
    dots: bool = False

    def in_words(self) -> str:
        """Its first, last, lowest and highest value."""
        first, last, low, high = (
            cell_text(float(v))
            for v in (self.values[0], self.values[-1], self.values.min(), self.values.max())
        )
        where = f"from {first} at step {self.steps[0]:,.0f} to {last} at step {self.steps[-1]:,.0f}"
        return f"{self.label}: {where}, lowest {low}, highest {high}."

    def mean_between(self, before: float, step: float) -> float | None:
        """Of the values after ``before`` up to ``step``; None if there are none."""
        values = self.values[(self.steps > before) & (self.steps <= step)]
        return float(values.mean()) if len(values) else None


@dataclass(frozen=True)
class Chart:
    """Curves that share their axes.

    Attributes:
        name: Id in the page.
        title: A few words.
        caption: What it shows.
        y_label: Of the vertical axis, with its unit.
        lines: None of them empty; at least one for ``figure``.
        phases: Drawn as a ribbon under the curves.
        switches: Steps with a vertical line.
        phases_in_words: Said of the phases to those who do not see them.
        level: (label, value) of a horizontal line.
        percent: Whether values are shares.
        thousands: Whether large values are written 10 k.
    """

    name: str
    title: str
    caption: str
    y_label: str
    lines: tuple[Line, ...]
    phases: Sequence[Phase] = ()
    switches: Sequence[int] = ()
    phases_in_words: str = ""
    level: tuple[str, float] | None = None
    percent: bool = False
    thousands: bool = False

    @property
    def strategies(self) -> list[str]:
        """Those of the phases, in the order of their first step."""
        return list(dict.fromkeys(name for phase in self.phases for name in phase.shares))

    def figure(self) -> Figure:
        """The chart drawn, with its key and its numbers."""
        with page_style():
            figure = new_figure()
            if self.phases:
                axes, ribbon = figure.subplots(2, 1, sharex=True, height_ratios=[14, 1])
                self._draw_ribbon(ribbon)
            else:
                axes = ribbon = figure.add_subplot()
            self._draw_lines(axes)
            ribbon.set_xlabel("optimizer step")
            svg = inline_svg(figure, self._description())
        return Figure(self.name, self.title, self.caption, svg, self._key(), self._table())

    def _draw_lines(self, axes: Axes) -> None:
        for number, line in enumerate(self.lines):
            colour, dash = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
            steps, means, low, high = thinned(line.steps, line.values)
            marker = "o" if line.dots or len(steps) == 1 else ""
            axes.plot(steps, means, dash, color=colour, marker=marker, markersize=3.5, zorder=3)
            if len(steps) < len(line.steps):
                axes.fill_between(steps, low, high, color=colour, alpha=0.22, linewidth=0)
        if self.level is not None:
            axes.axhline(self.level[1], color=TEXT, linestyle=":", linewidth=1.2)
        for step in self.switches:
            axes.axvline(step, color=TEXT, linestyle="--", linewidth=1)
        axes.set_ylabel(self.y_label)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=ROUND))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
        if self.percent:
            axes.yaxis.set_major_formatter(percent())
        elif self.thousands:
            axes.yaxis.set_major_formatter(EngFormatter(sep=" "))

    def _draw_ribbon(self, axes: Axes) -> None:
        for phase in self.phases:
            width, bottom = phase.stop - phase.start, 0.0
            for name, share in phase.shares.items():
                colour = COLOURS[self._phase_colour(name)]
                axes.bar(phase.start, share, width, bottom, align="edge", color=colour, linewidth=0)
                bottom += share
            if self._named(phase):
                middle, name = phase.start + width / 2, next(iter(phase.shares))
                axes.text(middle, 0.46, name, ha="center", va="center", color=BACK, fontsize=FONT - 1.5)
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        axes.grid(False)
        axes.spines[["left", "bottom"]].set_visible(False)

    def _phase_colour(self, strategy: str) -> int:
        return PHASE_COLOURS[self.strategies.index(strategy) % len(PHASE_COLOURS)]

    def _named(self, phase: Phase) -> bool:
        """Whether the ribbon has room for the name of the phase's only strategy."""
        share = (phase.stop - phase.start) / (self.phases[-1].stop - self.phases[0].start)
        return len(phase.shares) == 1 and share > LETTER * len(next(iter(phase.shares)))

    def _description(self) -> str:
        words = [f"{self.title}, {self.y_label}, over optimizer steps."]
        words += [line.in_words() for line in self.lines]
        if self.level is not None:
            words.append(f"{self.level[0]}: {cell_text(self.level[1])}.")
        return " ".join([*words, self.phases_in_words]).strip()

    def _key(self) -> list[KeyEntry]:
        """What each colour and dash means, except what the ribbon says itself."""
        entries = []
        for number, line in enumerate(self.lines):
            colour, dashes = f"c{number % len(COLOURS) + 1}", "5 3" if number >= len(COLOURS) else ""
            entries.append(KeyEntry(line.label, colour, "dots" if line.dots else "line", dashes))
        if self.level is not None:
            entries.append(KeyEntry(self.level[0], "text", dashes="2 3"))
        if self.switches:
            entries.append(KeyEntry("switch", "text", dashes="5 3"))
        named = {name for phase in self.phases if self._named(phase) for name in phase.shares}
        entries += [
            KeyEntry(f"masked by {name}", f"c{self._phase_colour(name) + 1}", "area")
            for name in self.strategies
            if name not in named
        ]
        return entries

    def _table(self) -> Table:
        """At most TABLE_ROWS rows, at steps of the line with the fewest points, and past its end of the longest."""
        steps = min((line.steps for line in self.lines), key=len)
        longest = max((line.steps for line in self.lines), key=lambda steps: steps[-1])
        steps = np.concatenate([steps, longest[longest > steps[-1]]])
        chosen = np.linspace(0, len(steps) - 1, min(TABLE_ROWS, len(steps))).round().astype(int)
        rows: list[list[object]] = []
        for before, step in itertools.pairwise([-np.inf, *steps[chosen].tolist()]):
            means = [line.mean_between(before, step) for line in self.lines]
            row: list[object] = [int(step), *means]
            if self.phases:  # the log may not have got as far as the last validation
                row.append(next((", ".join(p.shares) for p in self.phases if p.start < step <= p.stop), None))
            rows.append(row)
        headings = ["step", *(line.label for line in self.lines), *(["masked by"] if self.phases else [])]
        note = "Each row is the mean since the row before."
        return Table(headings, rows, f"{self.title}: the numbers", note)


def lines_of(runs: Sequence[LoggedRun], key: str, *, dots: bool = False) -> tuple[Line, ...]:
    """A line for each run that has logged numbers under ``key``."""
    found = [(run.name, *run.series(key)) for run in runs]
    return tuple(Line(name, steps, values, dots) for name, steps, values in found if len(steps))


def thinned(steps: Floats, values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """At most MOST_POINTS points: the last step, mean, lowest and highest of every so many values."""
    size = -(-len(steps) // MOST_POINTS)
    parts = [slice(first, first + size) for first in range(0, len(steps), size)]
    kept = [(steps[p][-1], values[p].mean(), values[p].min(), values[p].max()) for p in parts]
    last, mean, low, high = np.array(kept).T
    return last, mean, low, high
