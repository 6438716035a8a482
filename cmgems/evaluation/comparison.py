"""Comparing masking strategies: what a strategy's name means for a config, and the figures its runs left behind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import fmean

from cmgems.errors import CmgemsError
from cmgems.evaluation.benchmarks import Dataset, find_datasets, with_gue_settings
from cmgems.evaluation.runs import Repeat, draws_there
from cmgems.evaluation.statistics import Difference, MeanSD, paired_difference
from cmgems.masking import CURRICULA, STRATEGIES
from cmgems.registry import did_you_mean
from cmgems.runs import RunReader
from cmgems.runs.layout import SUMMARY
from cmgems.runs.summary import SWITCHED_AT, TOKENS, TOKENS_PER_SECOND, metric_key

# The strategy of models that are not pretrained at all.
UNTRAINED = "none"


@dataclass(frozen=True)
class Pretraining:
    """What one pretraining run reports.

    Attributes:
        strategy, seed: Which run it is.
        curve: (step, nats) of the fixed-mask validations.
        masked_share: Mean share of tokens masked, over the logged steps; NaN if none is logged.
        switched_at: The step of the curriculum's switch, if it has one and took it.
        tokens: Tokens seen; NaN if the recipe does not say.
        seconds: Time of the steps; NaN if the recipe does not say.
    """

    strategy: str
    seed: int
    curve: tuple[tuple[int, float], ...]
    masked_share: float
    switched_at: int | None
    tokens: float
    seconds: float

    @property
    def loss(self) -> float:
        """Validation loss at the end (nats per masked token); NaN if none is logged."""
        return self.curve[-1][1] if self.curve else math.nan


@dataclass(frozen=True)
class Score:
    """A figure of one run. Runs of two strategies with the same seed and repeat are a pair.

    Attributes:
        strategy: How its model was pretrained.
        seed: Of the pretraining.
        repeat: What tells fine-tuning runs from the same weights apart, their task aside.
        value: The figure.
    """

    strategy: str
    seed: int
    repeat: str
    value: float


@dataclass(frozen=True)
class Row:
    """A strategy's mean and spread, and how far it lies above the baseline; None of the baseline itself."""

    strategy: str
    values: MeanSD
    difference: Difference | None


@dataclass(frozen=True)
class Overall:
    """A strategy against the baseline over all tasks.

    Attributes:
        difference: Of the means over tasks, one pair a pretraining seed.
        better, pairs: In how many pairs of runs it is above the baseline, and of how many.
    """

    difference: Difference
    better: int
    pairs: int


def masking_overrides(strategy: str) -> list[str]:
    """The config overrides for ``NAME`` or ``NAME+key=value+…``, keys being those of the section ``masking``.

    NAME is a curriculum, or a strategy that masks from the first step to the last. `cm_gems+rank_by=position`,
    `random_span+rate=0.3` and `cm_gems+curriculum.threshold=20` are strategies of their own.

    Raises:
        CmgemsError: if there is no such curriculum or strategy, or an option has no ``=``.
    """
    name, *options = strategy.split("+")
    curricula = [known for known in CURRICULA.names() if known != "fixed"]
    if name not in curricula and name not in STRATEGIES.names():
        known = [*curricula, *STRATEGIES.names(), UNTRAINED]
        raise CmgemsError(f"unknown strategy {name!r}", where="strategies", fix=did_you_mean(name, known))
    for option in options:
        if "=" not in option:
            raise CmgemsError(
                f"option without a value: {option!r}",
                where=f"strategies, {strategy}",
                fix="write NAME+key=value",
            )
    # `fixed` first: a new name drops the options that the base config gives to its own curriculum.
    overrides = ["masking.curriculum=fixed"]
    overrides += (
        [f"masking.curriculum={name}"] if name in curricula else [f"masking.curriculum.masking={name}"]
    )
    return overrides + [f"masking.{option}" for option in options]


def find_tasks(folder: Path, names: Sequence[str]) -> list[Dataset]:
    """The labelled sets below ``folder`` for ``NAME``, a whole set, or ``NAME@SHOTS``, few examples of each class.

    NAME is a set's path below the folder, its last part, or a glob. Whole sets of GUE get GUE's settings.

    Raises:
        CmgemsError: if a number of shots is none, or nothing has that name.
    """
    found: dict[str, Dataset] = {}
    for name in names:
        pattern, at, shots = name.partition("@")
        if at and not (shots.isdecimal() and int(shots)):
            raise CmgemsError(f"`tasks` has shots that are no number: {name!r}", fix="write NAME@10")
        numbers = (int(shots),) if at else ()
        datasets, absent = find_datasets(folder, shots=numbers, wanted=(pattern,))
        if absent:
            raise CmgemsError(f"no data set {absent[0]!r}", where=folder, fix="leave it out of tasks")
        found |= {dataset.title: with_gue_settings(dataset) for dataset in datasets}
    return list(found.values())


@dataclass(frozen=True)
class Comparison:
    """The runs of a comparison, and where they lie.

    OUT/pretrain/cm_gems-seed0/                                   a pretraining run
    OUT/finetune/cm_gems-seed0/prom/prom_core_tata/seed0/         a fine-tuning run from its weights

    Attributes:
        out: The folder of everything.
        strategies, seeds: What is pretrained: each strategy with seeds from 0.
        tasks: What is fine-tuned on from each.
        draws: Few-shot training sets for each pretraining seed.
    """

    out: Path
    strategies: tuple[str, ...]
    seeds: int
    tasks: tuple[Dataset, ...] = ()
    draws: int = 1

    def pretraining_folder(self, strategy: str, seed: int) -> Path:
        """Of a pretraining run."""
        return self.out / "pretrain" / f"{strategy}-seed{seed}"

    def fine_tunings(self, strategy: str, seed: int) -> Iterator[tuple[Dataset, Repeat, Path]]:
        """(task, repeat, folder) of the runs from one pretraining: one on a whole set, `draws` on few examples.

        Every pretraining seed has seeds and draws of its own (of published ones as long as they last), shared by all
        strategies.
        """
        for task in self.tasks:
            for repeat in self._repeats(task, seed):
                yield task, repeat, self.out / "finetune" / f"{strategy}-seed{seed}" / task.path / repeat.name

    def _repeats(self, task: Dataset, seed: int) -> list[Repeat]:
        if task.shots is None:
            return [Repeat(seed)]
        numbers = range(seed * self.draws, (seed + 1) * self.draws)
        if not task.drawn:
            return [Repeat(number) for number in numbers]
        published = self._published[task.title]
        return [Repeat(seed, number % published) for number in numbers[:published]]

    @cached_property
    def _published(self) -> dict[str, int]:
        """How many published draws the tasks hold that hold any; their files are read once for all runs."""
        return {task.title: draws_there(task) for task in self.tasks if task.drawn}

    def finished(self, strategy: str, seed: int) -> bool:
        """Whether nothing is left to run of a strategy and seed."""
        folders = [folder for _, _, folder in self.fine_tunings(strategy, seed)]
        if strategy != UNTRAINED:
            folders.append(self.pretraining_folder(strategy, seed))
        return all((folder / SUMMARY).is_file() for folder in folders)

    def pretrainings(self) -> list[Pretraining]:
        """The figures of all that have finished."""
        runs = product(self.strategies, range(self.seeds))
        found = [read_pretraining(self.pretraining_folder(*run), *run) for run in runs]
        return [run for run in found if run is not None]

    def metrics(self) -> list[str]:
        """The tasks' own metrics, and AUC."""
        return list(dict.fromkeys([*(task.metric for task in self.tasks), "auc"]))

    def scores(self, metric: str) -> dict[str, list[Score]]:
        """Test scores of all finished runs, by the titles of the tasks whose own metric this is; AUC is everybody's."""
        found: dict[str, list[Score]] = {}
        for strategy, seed in product(self.strategies, range(self.seeds)):
            for task, repeat, folder in self.fine_tunings(strategy, seed):
                if metric not in (task.metric, "auc"):
                    continue
                value = (RunReader(folder).summary or {}).get(metric_key(metric), math.nan)
                if not math.isnan(value):
                    found.setdefault(task.title, []).append(Score(strategy, seed, repeat.name, value))
        return found


def read_pretraining(folder: Path, strategy: str, seed: int) -> Pretraining | None:
    """The figures of a finished pretraining run, None of any other."""
    run = RunReader(folder)
    if run.summary is None:
        return None
    # An edited copy of the recipe may report less.
    shares = [r["masked_share"] for r in run.records if "masked_share" in r]
    tokens = run.summary.get(TOKENS, math.nan)
    return Pretraining(
        strategy,
        seed,
        tuple((r["step"], r["validation_loss"]) for r in run.records if "validation_loss" in r),
        fmean(shares) if shares else math.nan,
        run.summary.get(SWITCHED_AT),
        tokens,
        tokens / run.summary.get(TOKENS_PER_SECOND, math.nan),
    )


def rows(scores: Sequence[Score], strategies: Iterable[str], baseline: str) -> list[Row]:
    """A row for each strategy that has scores; what stands on one side only is left out of the difference."""
    found = []
    for strategy in strategies:
        mine = _values(scores, strategy)
        pairs = {} if strategy == baseline else _pairs([scores], strategy, baseline)
        if mine:
            difference = _difference_of_seeds(pairs) if pairs else None
            found.append(Row(strategy, MeanSD.of(list(mine.values())), difference))
    return found


def overall(tasks: Mapping[str, Sequence[Score]], strategy: str, baseline: str) -> Overall | None:
    """``strategy`` against ``baseline`` over all tasks; None if no run of both is a pair."""
    by_seed = _pairs(tasks.values(), strategy, baseline)
    if not by_seed:
        return None
    pairs = [pair for of_seed in by_seed.values() for pair in of_seed]
    better = sum(ours > theirs for ours, theirs in pairs)
    return Overall(_difference_of_seeds(by_seed), better, len(pairs))


def _pairs(
    tasks: Iterable[Sequence[Score]], strategy: str, baseline: str
) -> dict[int, list[tuple[float, float]]]:
    """(of ``strategy``, of ``baseline``) of the runs that are pairs, by pretraining seed."""
    found: dict[int, list[tuple[float, float]]] = {}
    for scores in tasks:
        mine, theirs = _values(scores, strategy), _values(scores, baseline)
        for run in mine:
            if run in theirs:
                found.setdefault(run[0], []).append((mine[run], theirs[run]))
    return found


def _difference_of_seeds(pairs: Mapping[int, Sequence[tuple[float, float]]]) -> Difference:
    """One pair a pretraining seed: what was fine-tuned from the same weights is no evidence of its own."""
    means = [(fmean(ours), fmean(theirs)) for ours, theirs in (zip(*p, strict=True) for p in pairs.values())]
    return paired_difference([ours for ours, _ in means], [theirs for _, theirs in means])


def _values(scores: Sequence[Score], strategy: str) -> dict[tuple[int, str], float]:
    return {(score.seed, score.repeat): score.value for score in scores if score.strategy == strategy}
