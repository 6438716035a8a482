"""The results of an evaluation: what its runs found, by dataset, and as ``results.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cmgems.errors import DataError
from cmgems.evaluation.repeats import Repeat
from cmgems.evaluation.statistics import MeanSD
from cmgems.files import read_json, without_nan, write_json
from cmgems.runs.summary import (
    CLASSES_PREDICTED,
    LEAKED,
    METRIC_LABELS,
    NOVEL,
    SEQUENCES_CUT,
    TEST_SEQUENCES,
    Part,
    metric_key,
)
from cmgems.yardsticks.audit import read_baselines
from cmgems.yardsticks.baselines import Baselines, best_title

FILE = "results.json"
# Metrics of a table, which are shown in percent: all but the mean squared error, in this order.
METRICS = {name: METRIC_LABELS[name] for name in ("mcc", "macro_f1", "accuracy", "auc")}
METRICS |= {name: label for name, label in METRIC_LABELS.items() if name not in METRICS and name != "mse"}


@dataclass(frozen=True)
class Record:
    """What a finished fine-tuning run found.

    Attributes:
        dataset: The name of its dataset.
        shots: Training examples of each class; None for the whole training set.
        draw: Which published draw; None where there are none.
        seed: Of the run.
        metric: The metric reported for the dataset, which chose the epoch.
        summary: JSON values by their keys in ``cmgems.runs.summary``; a copied recipe may lack some or have others.
        baselines: What baselines without a model, fitted on the same training rows, score on the same test rows; None
            if there are none.
    """

    dataset: str
    shots: int | None
    draw: int | None
    seed: int
    metric: str
    summary: Mapping[str, Any]
    baselines: Baselines | None = None

    @property
    def title(self) -> str:
        """'Splice-40, 10-shot'."""
        return self.dataset if self.shots is None else f"{self.dataset}, {self.shots}-shot"

    @property
    def repeat(self) -> str:
        """'seed0', 'draw3-seed0'."""
        return Repeat(self.seed, self.draw).name

    @property
    def shown_metric(self) -> str:
        """The metric that tables have: Pearson's r in place of the mean squared error, which is in no percent."""
        return "pearson" if self.metric == "mse" else self.metric

    @property
    def training_set(self) -> str:
        """See ``Repeat.training_set``."""
        return Repeat(self.seed, self.draw).training_set(self.shots)

    def score(self, metric: str, part: Part = "all") -> float:
        """A test metric ("mcc") of all test rows or of a part; NaN if undefined or missing."""
        value = self.summary.get(metric_key(metric, "all" if self._is_all(part) else part))
        return math.nan if value is None else float(value)

    def _is_all(self, part: Part) -> bool:
        """Whether a part is all test rows: then the summary does not repeat their scores."""
        if part == "novel":
            return NOVEL in self.summary and self.summary[NOVEL] == self.summary.get(TEST_SEQUENCES)
        return part == "clean" and not self.summary.get(LEAKED)


@dataclass(frozen=True)
class Results:
    """What an evaluation has found so far.

    Attributes:
        model: What was evaluated, as the user named it.
        gue: Whether these are GUE's datasets.
        exclude_leaks: Whether the scores leave out test rows that are in train.
        absent: Titles of datasets that were named and not found.
        skipped: Titles of datasets that could not be used, and why.
        records: One a run.
    """

    model: str
    gue: bool = False
    exclude_leaks: bool = False
    absent: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    records: tuple[Record, ...] = ()

    def lines(self) -> list[Line]:
        """The records by dataset and number of shots, in their order."""
        groups: dict[str, list[Record]] = {}
        for record in self.records:
            groups.setdefault(record.title, []).append(record)
        return [Line(tuple(group), self.exclude_leaks) for group in groups.values()]

    def metrics(self) -> dict[str, str]:
        """The metrics that any run reports, and their labels."""
        found = [record.summary for record in self.records]
        return {name: label for name, label in METRICS.items() if any(metric_key(name) in s for s in found)}


@dataclass(frozen=True)
class Line:
    """All runs on one dataset with the same number of shots."""

    records: tuple[Record, ...]
    exclude_leaks: bool

    @property
    def dataset(self) -> str:
        return self.records[0].dataset

    @property
    def shots(self) -> int | None:
        return self.records[0].shots

    @property
    def title(self) -> str:
        return self.records[0].title

    @property
    def metric(self) -> str:
        return self.records[0].shown_metric

    def score(self, metric: str, part: Part = "all") -> MeanSD:
        """Over the runs, in percent; undefined scores are left out."""
        part = "clean" if part == "all" and self.exclude_leaks else part
        values = [100 * record.score(metric, part) for record in self.records]
        return MeanSD.of([value for value in values if not math.isnan(value)])

    def baselines(self) -> list[Baselines]:
        """Those of each training set."""
        found = {record.training_set: record.baselines for record in self.records}
        return [baselines for baselines in found.values() if baselines is not None]

    @property
    def baseline_title(self) -> str:
        """Which baseline is best; "" if there is none."""
        return best_title(self.baselines())

    def baseline_score(self, metric: str, part: Part = "all") -> MeanSD:
        """Of the best baseline, over the training sets, in percent; undefined scores are left out."""
        part = "clean" if part == "all" and self.exclude_leaks else part
        values = [100 * baselines.best(part).score(metric, part) for baselines in self.baselines()]
        return MeanSD.of([value for value in values if not math.isnan(value)])

    def counts(self, key: str) -> list[int]:
        """A count of every run; 0 where its summary lacks it."""
        return [int(record.summary.get(key) or 0) for record in self.records]

    @property
    def collapsed(self) -> int:
        """How many runs predict one class only."""
        return self.counts(CLASSES_PREDICTED).count(1)

    @property
    def remarks(self) -> str:
        """What makes the scores doubtful."""
        found = []
        if self.collapsed:
            found.append(f"collapsed in {self.collapsed} of {len(self.records)}")
        if cut := max(self.counts(SEQUENCES_CUT)):
            found.append(f"{cut} sequences cut")
        return ", ".join(found)


def write_results(results: Results, folder: Path) -> None:
    """Write results.json; what is NaN is null there."""
    write_json(folder / FILE, without_nan(asdict(results)))


def read_results(folder: Path) -> Results:
    """The results that an evaluation wrote to ``folder``.

    Raises:
        DataError: if there are none, or they cannot be read.
    """
    values = read_json(folder / FILE)
    try:
        values["records"] = tuple(_record(record) for record in values["records"])
        return Results(**{**values, "absent": tuple(values["absent"])})
    except (KeyError, TypeError) as error:
        raise DataError("not the results of an evaluation", where=folder / FILE, why=str(error)) from error


def _record(values: dict[str, Any]) -> Record:
    return Record(**{**values, "baselines": read_baselines(values.get("baselines"))})
