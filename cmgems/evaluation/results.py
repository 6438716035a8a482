"""The results of an evaluation: its runs, gathered by data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cmgems.evaluation.runs import Record, score_of
from cmgems.evaluation.statistics import MeanSD
from cmgems.runs.summary import CLASSES_PREDICTED, SEQUENCES_CUT

METRICS = {"mcc": "MCC", "macro_f1": "macro-F1", "accuracy": "accuracy", "auc": "AUC"}


@dataclass
class Results:
    """What an evaluation has found so far.

    Attributes:
        model: What was evaluated, as the user named it.
        gue: Whether these are the sets of GUE.
        exclude_leaks: Whether the scores leave out test rows that stand in train.
        absent: Titles of sets that are not there.
        records: One a run, from ``run_task``.
        skipped: Titles of sets that could not be used, and why.
    """

    model: str
    gue: bool = False
    exclude_leaks: bool = False
    absent: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            "model": self.model,
            "exclude leaks": self.exclude_leaks,
            "runs": self.records,
            "skipped": [{"dataset": title, "reason": reason} for title, reason in self.skipped.items()],
            "not found": self.absent,
        }


@dataclass(frozen=True)
class Line:
    """All runs on one data set with the same number of shots."""

    records: Sequence[Record]
    exclude_leaks: bool

    @property
    def dataset(self) -> str:
        return str(self.records[0]["dataset"])

    @property
    def shots(self) -> int | None:
        shots: int | None = self.records[0]["shots"]
        return shots

    @property
    def title(self) -> str:
        """'Splice-40, 10-shot'."""
        return self.dataset if self.shots is None else f"{self.dataset}, {self.shots}-shot"

    @property
    def metric(self) -> str:
        """The set's own."""
        return str(self.records[0]["metric"])

    def score(self, metric: str, *, clean: bool = False) -> MeanSD:
        """Over the runs, in percent; undefined scores are left out."""
        values = [100 * score_of(r, metric, clean=clean or self.exclude_leaks) for r in self.records]
        return MeanSD.of([value for value in values if not math.isnan(value)])

    def counts(self, key: str) -> list[int]:
        """A count of every run."""
        return [int(record["summary"].get(key) or 0) for record in self.records]

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


def lines(results: Results) -> list[Line]:
    """The records by data set and number of shots, in their order."""
    groups: dict[tuple[Any, Any], list[Record]] = {}
    for record in results.records:
        groups.setdefault((record["dataset"], record["shots"]), []).append(record)
    return [Line(group, results.exclude_leaks) for group in groups.values()]
