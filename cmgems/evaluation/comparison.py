"""Masking strategies compared: the figures of pretraining and fine-tuning runs, and ``comparison.json``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from cmgems.errors import DataError
from cmgems.evaluation.models import Model
from cmgems.evaluation.results import METRICS, Record
from cmgems.evaluation.runs import Evaluation
from cmgems.evaluation.statistics import Difference, MeanSD, paired_difference
from cmgems.files import read_json, without_nan, write_json
from cmgems.runs import RunReader
from cmgems.runs.health import Health
from cmgems.runs.summary import SWITCHED_AT, TOKENS, TOKENS_PER_SECOND, VALIDATION_ACCURACY

FILE = "comparison.json"
Pair = tuple[float, float]  # figures of a strategy and of the baseline


@dataclass(frozen=True)
class Pretraining:
    """What one pretraining run reports. An edited copy of the recipe may report less: what it lacks is NaN or empty.

    Attributes:
        strategy, seed: Which run it is.
        curve: (step, nats) of the fixed-mask validations.
        masked_share: Mean share of tokens masked, over the logged steps.
        switched_at: The step of the curriculum's switch; None if there was none.
        tokens: Tokens seen.
        seconds: Time of the steps.
        accuracy: Share of the masked tokens guessed right in the last validation.
        baselines: What the validation gives away without a model, as ``cmgems.runs.health`` reads it.
    """

    strategy: str
    seed: int
    curve: tuple[tuple[int, float], ...]
    masked_share: float
    switched_at: int | None
    tokens: float
    seconds: float
    accuracy: float = math.nan
    baselines: Mapping[str, Any] = field(default_factory=dict)

    @property
    def health(self) -> Health | None:
        """Its last validation beside the baselines; None if either was not recorded."""
        return Health.of(self.loss, self.accuracy, self.baselines)

    @property
    def loss(self) -> float:
        """Validation loss at the end (nats per masked token)."""
        return self.curve[-1][1] if self.curve else math.nan


@dataclass(frozen=True)
class FineTuned:
    """What one fine-tuning run found.

    Attributes:
        strategy, seed: The pretraining run whose model it started from.
        record: Its scores.
    """

    strategy: str
    seed: int
    record: Record


@dataclass(frozen=True)
class Score:
    """A figure of one run. Runs of two strategies with the same seed and repeat are a pair.

    Attributes:
        strategy: How its model was pretrained.
        seed: Of the pretraining.
        repeat: Tells apart the fine-tuning runs on one dataset from the same weights.
        value: The figure.
    """

    strategy: str
    seed: int
    repeat: str
    value: float


@dataclass(frozen=True)
class Row:
    """A strategy's mean and spread, and how far it is above the baseline; None of the baseline itself."""

    strategy: str
    values: MeanSD
    difference: Difference | None


@dataclass(frozen=True)
class Overall:
    """A strategy compared with the baseline over all datasets.

    Attributes:
        difference: Of the means over datasets, one pair a pretraining seed.
        better, pairs: In how many pairs of runs it is above the baseline, and of how many.
    """

    difference: Difference
    better: int
    pairs: int


@dataclass(frozen=True)
class Comparison:
    """The figures of all runs that have finished.

    Attributes:
        out: The folder of the comparison.
        strategies: In the order of the config.
        baseline: The strategy with which the others are compared.
        exclude_leaks: Whether scores leave out the test rows that are in train.
        pretrained: The pretraining runs.
        finetuned: The fine-tuning runs.
        skipped: Titles of datasets that could not be used, and why.
    """

    out: Path
    strategies: tuple[str, ...]
    baseline: str
    exclude_leaks: bool = False
    pretrained: tuple[Pretraining, ...] = ()
    finetuned: tuple[FineTuned, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    def pretrainings(self) -> list[Pretraining]:
        """The pretraining runs, by strategy and seed."""
        return sorted(self.pretrained, key=lambda run: (self.strategies.index(run.strategy), run.seed))

    def metrics(self) -> list[str]:
        """The metrics reported for the datasets, and AUC."""
        found = dict.fromkeys([*(run.record.shown_metric for run in self.finetuned), "auc"])
        return [metric for metric in found if metric in METRICS]

    def scores(self, metric: str) -> dict[str, list[Score]]:
        """The defined test scores by the titles of the datasets for which the metric is reported; AUC is for all."""
        found: dict[str, list[Score]] = {}
        for run in self.finetuned:
            value = run.record.score(metric, "clean" if self.exclude_leaks else "all")
            if metric in (run.record.shown_metric, "auc") and not math.isnan(value):
                score = Score(run.strategy, run.seed, run.record.repeat, value)
                found.setdefault(run.record.title, []).append(score)
        return found


def read_runs(models: Sequence[Model], evaluation: Evaluation, out: Path, baseline: str) -> Comparison:
    """The figures of all runs of ``models`` that have finished.

    Raises:
        DataError: if a file of a run cannot be read.
    """
    trained = [model for model in models if model.is_trained]
    pretrained = [read_pretraining(model.run_folder, model.strategy, model.seed) for model in trained]
    records = [(model, record) for model in models for record in evaluation.records(model.runs)]
    return Comparison(
        out,
        tuple(dict.fromkeys(model.strategy for model in models)),
        baseline,
        evaluation.exclude_leaks,
        tuple(run for run in pretrained if run is not None),
        tuple(FineTuned(model.strategy, model.seed, record) for model, record in records),
        {**evaluation.skipped, **dict.fromkeys(evaluation.absent, "not found")},
    )


def write_figures(comparison: Comparison) -> None:
    """Write comparison.json to the folder of the comparison; what is NaN is null there."""
    values = {key: value for key, value in asdict(comparison).items() if key != "out"}
    write_json(comparison.out / FILE, without_nan(values))


def read_comparison(folder: Path) -> Comparison:
    """The comparison that ``cmgems compare`` wrote to ``folder``.

    Raises:
        DataError: if there is none, or it cannot be read.
    """
    values = read_json(folder / FILE)
    try:
        return Comparison(
            out=folder,
            strategies=tuple(values["strategies"]),
            baseline=values["baseline"],
            exclude_leaks=values["exclude_leaks"],
            pretrained=tuple(_pretraining(run) for run in values["pretrained"]),
            finetuned=tuple(
                FineTuned(run["strategy"], run["seed"], Record(**run["record"]))
                for run in values["finetuned"]
            ),
            skipped=values["skipped"],
        )
    except (KeyError, TypeError) as error:
        raise DataError("not the figures of a comparison", where=folder / FILE, why=str(error)) from error


def _pretraining(values: Mapping[str, Any]) -> Pretraining:
    curve = tuple((step, _number(nats)) for step, nats in values["curve"])
    numbers = {key: _number(values[key]) for key in ("masked_share", "tokens", "seconds")}
    numbers["accuracy"] = _number(values.get("accuracy"))  # none of a comparison before version 0.3
    return Pretraining(**{**values, **numbers, "curve": curve})


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def read_pretraining(folder: Path, strategy: str, seed: int) -> Pretraining | None:
    """The figures of a finished pretraining run, None of any other.

    Raises:
        DataError: if its files cannot be read.
    """
    run = RunReader(folder)
    if run.summary is None:
        return None
    shares = [record["masked_share"] for record in run.records if "masked_share" in record]
    tokens = _number(run.summary.get(TOKENS))
    return Pretraining(
        strategy,
        seed,
        curve=tuple((r["step"], r["validation_loss"]) for r in run.records if "validation_loss" in r),
        masked_share=fmean(shares) if shares else math.nan,
        switched_at=run.summary.get(SWITCHED_AT),
        tokens=tokens,
        seconds=tokens / (run.summary.get(TOKENS_PER_SECOND) or math.nan),
        accuracy=_number(run.summary.get(VALIDATION_ACCURACY)),
        baselines=run.baselines,
    )


def rows(scores: Sequence[Score], strategies: Iterable[str], baseline: str) -> list[Row]:
    """A row for each strategy that has scores; runs without a partner are left out of the difference."""
    found = []
    for strategy in strategies:
        mine = _values(scores, strategy)
        pairs = {} if strategy == baseline else _pairs(scores, strategy, baseline)
        if mine:
            difference = _difference_of_seeds(pairs) if pairs else None
            found.append(Row(strategy, MeanSD.of(list(mine.values())), difference))
    return found


def overall(datasets: Mapping[str, Sequence[Score]], strategy: str, baseline: str) -> Overall | None:
    """``strategy`` compared with ``baseline`` over all datasets; None if no run of both is a pair."""
    of_datasets = [_pairs(scores, strategy, baseline) for scores in datasets.values()]
    means: dict[int, list[Pair]] = {}  # of each dataset, however many runs it has
    for by_seed in of_datasets:
        for seed, pairs in by_seed.items():
            means.setdefault(seed, []).append(_mean(pairs))
    if not means:
        return None
    runs = [pair for by_seed in of_datasets for pairs in by_seed.values() for pair in pairs]
    better = sum(ours > theirs for ours, theirs in runs)
    return Overall(_difference_of_seeds(means), better, len(runs))


def _pairs(scores: Sequence[Score], strategy: str, baseline: str) -> dict[int, list[Pair]]:
    """The runs on a dataset that are pairs, by pretraining seed."""
    found: dict[int, list[Pair]] = {}
    mine, theirs = _values(scores, strategy), _values(scores, baseline)
    for run in mine:
        if run in theirs:
            found.setdefault(run[0], []).append((mine[run], theirs[run]))
    return found


def _difference_of_seeds(pairs: Mapping[int, Sequence[Pair]]) -> Difference:
    """One pair a pretraining seed: fine-tuning runs from the same weights are not independent."""
    means = [_mean(of_seed) for of_seed in pairs.values()]
    return paired_difference([ours for ours, _ in means], [theirs for _, theirs in means])


def _mean(pairs: Sequence[Pair]) -> Pair:
    return fmean(ours for ours, _ in pairs), fmean(theirs for _, theirs in pairs)


def _values(scores: Sequence[Score], strategy: str) -> dict[tuple[int, str], float]:
    mine = [score for score in scores if score.strategy == strategy and not math.isnan(score.value)]
    return {(score.seed, score.repeat): score.value for score in mine}
