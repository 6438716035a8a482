"""What a score is worth: what learners without any model reach on the same rows.

Each is fitted on train alone. Which k, order and penalty counts is chosen on dev, or by cross-validation of train where
there is no dev set; the test set is scored once for each family.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cmgems.errors import DataError
from cmgems.runs.summary import Part
from cmgems.tasks import Task
from cmgems.yardsticks.examples import Examples, ExampleSet
from cmgems.yardsticks.features import KmerCounts, PositionedKmers
from cmgems.yardsticks.judge import Judge
from cmgems.yardsticks.learners import STRENGTHS, Learner, Linear, MarkovChains, TwinLabels

KMERS = range(1, 7)
ORDERS = range(1, 6)
POSITIONED = range(1, 4)
WIDEST = 2**16  # columns of k-mers by position
MOST_BASES = 20_000_000  # of train; of a larger one some rows are drawn
PREFERRED = 1e-9  # a later candidate must be better by more

COUNTS, CHAINS, BY_POSITION, TWINS = "k-mer counts", "Markov chains", "k-mers by position", "twins"


@dataclass(frozen=True)
class Baseline:
    """The best of a family, by what it was chosen on.

    Attributes:
        family: Of learners.
        name: Which one: "k = 5, logistic, C = 0.001".
        chosen_by: Its score where it was chosen, the higher the better (mse with a minus sign); NaN if undefined.
        scores: Its metrics by part of the test set: "all", "clean" without the rows that are in train, "novel" without
            those that have a copy or twin in train or dev. None of a part without rows.
    """

    family: str
    name: str
    chosen_by: float
    scores: Mapping[Part, Mapping[str, float]]

    def score(self, metric: str, part: Part = "all") -> float:
        """A metric on a part of the test set; NaN if there is none."""
        return self.scores.get(part, {}).get(metric, math.nan)

    @property
    def title(self) -> str:
        """'k-mer counts, k = 5, logistic, C = 0.001'."""
        return f"{self.family}, {self.name}"


@dataclass(frozen=True)
class Baselines:
    """The baselines of a labelled set.

    Attributes:
        metric: By which they were chosen.
        chosen_on: "dev", "5-fold cross-validation of train".
        rows: How many training rows they were fitted on.
        families: The best of each.
    """

    metric: str
    chosen_on: str
    rows: int
    families: tuple[Baseline, ...]

    def best(self, part: Part = "all") -> Baseline:
        """The best of all, by what it was chosen on; for novel rows, which have no twins, one that needs none."""
        families = [one for one in self.families if part != "novel" or one.family != TWINS]
        return max(families, key=lambda one: -math.inf if math.isnan(one.chosen_by) else one.chosen_by)


def best_title(found: Sequence[Baselines]) -> str:
    """Which baseline is best, and which on novel rows if that is another; of several training sets the families.

    "" if there are none.
    """
    everywhere, on_novel = _best_titles(found, "all"), _best_titles(found, "novel")
    return everywhere if everywhere == on_novel else f"{everywhere}; on novel rows: {on_novel}"


def _best_titles(found: Sequence[Baselines], part: Part) -> str:
    best = [baselines.best(part) for baselines in found]
    titles = dict.fromkeys(one.title for one in best)
    return "; ".join(titles if len(titles) == 1 else dict.fromkeys(one.family for one in best))


class Candidate(NamedTuple):
    """A learner, what it learns from and what it is called."""

    family: str
    name: str
    features: Callable[[Sequence[str]], Any]
    learner: Learner


def fit_baselines(task: Task, examples: ExampleSet, parts: Mapping[Part, np.ndarray]) -> Baselines:
    """Fit and score the baselines of a set.

    Args:
        task: What the labels are, and the metric.
        examples: The set.
        parts: The test rows of each part that is scored by itself: bool (N,).

    Raises:
        DataError: if every base has its own label, or there are too few rows to choose by.
    """
    if task.labels.per_base:
        raise DataError(
            "no baselines", why="they are of whole sequences, and every base has a label of its own"
        )
    train = _at_most(examples.splits["train"], MOST_BASES)
    dev, test = examples.splits.get("dev"), examples.splits["test"]
    judge = Judge.of(task, train.labels, None if dev is None else dev.labels)
    best: dict[str, tuple[float, Candidate]] = {}
    for features, group in _groups(task, train, len(examples.names)):
        inputs = features(train.bases), None if dev is None else features(dev.bases)
        for candidate in group:
            score = judge.score(candidate.learner, *inputs)
            if candidate.family not in best or score > best[candidate.family][0] + PREFERRED:
                best[candidate.family] = score, candidate
    families = []
    for score, (family, name, features, learner) in best.values():
        predict = learner.fit(features(train.bases), train.labels)
        predictions_NC = predict(features(test.bases))
        scores = {
            part: task.metrics(test.labels[rows], predictions_NC[rows])
            for part, rows in parts.items()
            if rows.any()
        }
        families.append(Baseline(family, name, score if math.isfinite(score) else math.nan, scores))
    return Baselines(task.metric, judge.chosen_on, len(train), tuple(families))


def _groups(task: Task, train: Examples, outputs: int) -> Iterator[tuple[Any, list[Candidate]]]:
    """Candidates by what they learn from, which is made once for all of them; simple ones first."""
    longest = max(map(len, train.bases))
    classes = task.head == "classification"
    linear = [Linear(task.head, outputs, strength) for strength in STRENGTHS]
    for k in KMERS:
        counts = KmerCounts(k)
        group = [Candidate(COUNTS, f"k = {k}, {learner}", counts, learner) for learner in linear]
        if classes and k - 1 in ORDERS:
            chains = MarkovChains(k - 1, outputs)
            group.append(Candidate(CHAINS, str(chains), counts, chains))
        yield counts, group
    for k in POSITIONED:
        by_position = PositionedKmers(k, longest)
        if by_position.width <= WIDEST:
            named = [(f"k = {k}, {learner}", learner) for learner in linear]
            yield by_position, [Candidate(BY_POSITION, name, by_position, learner) for name, learner in named]
    if classes:
        rules = [TwinLabels(same, outputs) for same in (True, False)]
        yield _letters, [Candidate(TWINS, str(rule), _letters, rule) for rule in rules]


def _letters(bases: Sequence[str]) -> np.ndarray:
    return np.array(bases, dtype=object)


def _at_most(train: Examples, bases: int) -> Examples:
    """As many rows, drawn at random but the same every time, as have so many bases; all if they have not more."""
    order = np.random.Generator(np.random.Philox(key=0)).permutation(len(train))
    lengths = np.array([len(train.bases[row]) for row in order])
    fit = int(np.searchsorted(np.cumsum(lengths), bases, side="right"))
    return train if fit >= len(train) else train.take(np.sort(order[: max(fit, 1)]))
