"""Which strategy masked when: the phases of a run's curriculum, from its log."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from cmgems.report.runs.logged import LoggedRun

# With more changes than this a ribbon of single stretches cannot be read; shares in equal parts can.
MOST_STRETCHES = 12
PARTS = 24


@dataclass(frozen=True)
class Phase:
    """A stretch of a run.

    Attributes:
        start: The step before its first.
        stop: Its last step.
        shares: Share of its logged steps by strategy; one strategy alone has 1.
    """

    start: int
    stop: int
    shares: dict[str, float]


def strategies(run: LoggedRun) -> list[str]:
    """The strategies in the order of their first step."""
    return list(dict.fromkeys(name for _, name in run.texts("strategy")))


def phases(run: LoggedRun) -> list[Phase]:
    """The stretches of one strategy each; where strategies alternate, equal parts with the share of each."""
    logged = run.texts("strategy")
    if not logged:
        return []
    steps = [0, *(step for step, _ in logged)]
    names = [name for _, name in logged]
    changes = [i for i in range(1, len(names)) if names[i] != names[i - 1]]
    if len(changes) < MOST_STRETCHES:
        edges = [0, *changes, len(names)]
    else:
        edges = np.linspace(0, len(names), min(PARTS, len(names)) + 1).astype(int).tolist()
    found = []
    for first, last in itertools.pairwise(edges):
        count = Counter(names[first:last])
        shares = {name: count[name] / (last - first) for name in strategies(run) if count[name]}
        found.append(Phase(steps[first], steps[last], shares))
    return found


def switches(run: LoggedRun) -> list[tuple[int, str]]:
    """(step, strategy from then on) of each switch that the curriculum took."""
    return run.texts("switch")


def in_words(run: LoggedRun) -> str:
    """The curriculum's course in a sentence."""
    names = strategies(run)
    taken = switches(run)
    if taken:
        return " ".join(f"Masking switches to {name} at step {step:,}." for step, name in taken)
    if len(names) == 1:
        return f"Every step is masked by {names[0]}."
    return f"Steps are masked by {', '.join(names[:-1])} or {names[-1]}." if names else ""
