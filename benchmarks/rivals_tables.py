"""What rivals.sh and logo_cpu.sh find beyond the report of `cmgems compare`: novel rows, how soon a probe is as good.

python benchmarks/rivals_tables.py novel COMPARISON                               scores on novel rows, in markdown
python benchmarks/rivals_tables.py probe COMPARISON DATA DATASET [DATASET ...]    probe the checkpoints of all runs
python benchmarks/rivals_tables.py time COMPARISON DATA DATASET [DATASET ...]     their curves, in markdown

Start the second in several terminals to share the checkpoints among cores.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from side_by_side import table

from cmgems.config import RecipeSettings
from cmgems.evaluation.comparison import Comparison, Score, overall, read_comparison, rows
from cmgems.evaluation.config import DatasetsConfig, EvaluationConfig
from cmgems.evaluation.runs import Evaluation, FineTuning
from cmgems.evaluation.statistics import CONFIDENCE, RESAMPLES, Difference, MeanSD
from cmgems.runs.checkpoints import Checkpoints
from cmgems.runs.layout import CHECKPOINTS, step_of
from cmgems.runs.summary import NOVEL
from cmgems.training import ComputeConfig

METRIC = "mcc"
# The strategy of the models that pretraining starts from: step 0 of every curve.
START = "none"
# With fewer novel test rows a data set's score is left out of the mean over them.
ENOUGH = 100


@dataclass(frozen=True)
class Probed:
    """A checkpoint, and the probes of it.

    Attributes:
        strategy, seed: Of the pretraining run.
        step: Of the checkpoint.
        folder: Of the checkpoint.
        runs: The probes.
    """

    strategy: str
    seed: int
    step: int
    folder: Path
    runs: tuple[FineTuning, ...]


def evaluation(data: Path, datasets: Sequence[str]) -> Evaluation:
    """That of the comparison, on fewer datasets."""
    recipe, compute = RecipeSettings("probe"), ComputeConfig(threads=1)
    config = EvaluationConfig(
        data=DatasetsConfig(data), datasets=tuple(datasets), draws=1, finetune=recipe, compute=compute
    )
    return Evaluation(config)


def checkpoints(comparison: Comparison, probing: Evaluation) -> list[Probed]:
    """Every checkpoint but the last of a run, whose model the comparison itself has probed; seed by seed."""
    found = []
    for run in sorted(comparison.pretrained, key=lambda run: run.seed):
        name = f"{run.strategy}-seed{run.seed}"
        for folder in Checkpoints(comparison.out / "pretrain" / name / CHECKPOINTS).all()[:-1]:
            step = step_of(folder)
            assert step is not None
            runs = probing.runs(comparison.out / "curves" / name / str(step), run.seed)
            found.append(Probed(run.strategy, run.seed, step, folder, tuple(runs)))
    return found


@dataclass(frozen=True)
class Curve:
    """How the score of a strategy's models goes over the steps.

    Attributes:
        steps_S: Ascending.
        scores_SN: Means over datasets, in percent, by step and seed.
    """

    steps_S: npt.NDArray[np.int64]
    scores_SN: npt.NDArray[np.float64]

    def reaches(self, goal: float, seeds_N: npt.NDArray[np.int64]) -> float:
        """The step at which the mean over some seeds gets to ``goal``, on straight lines; infinity if it never does."""
        scores_S = self.scores_SN[:, seeds_N].mean(axis=1)
        (there,) = np.nonzero(scores_S >= goal)
        if not there.size:
            return math.inf
        first = there[0]
        if first == 0:
            return float(self.steps_S[0])
        around = slice(first - 1, first + 1)
        return float(np.interp(goal, scores_S[around], self.steps_S[around]))


def curves(comparison: Comparison, probing: Evaluation) -> dict[str, Curve]:
    """The curve of each strategy that has the baseline's seeds, at the steps that all of these have."""
    titles = {dataset.title for dataset in probing.datasets}
    last = max(step for run in comparison.pretrained for step, _ in run.curve)
    # Strategy, step, seed and record of every probe.
    found = [
        (point.strategy, point.step, point.seed, record)
        for point in checkpoints(comparison, probing)
        for record in probing.records(point.runs)
    ]
    trained = [strategy for strategy in comparison.strategies if strategy != START]
    for run in comparison.finetuned:
        of = [(name, 0) for name in trained] if run.strategy == START else [(run.strategy, last)]
        found += [(name, step, run.seed, run.record) for name, step in of if run.record.title in titles]
    scores: dict[str, dict[tuple[int, int], list[float]]] = {}
    for strategy, step, seed, record in found:
        scores.setdefault(strategy, {}).setdefault((step, seed), []).append(100 * record.score(METRIC))
    steps, seeds = (sorted(set(values)) for values in zip(*scores[comparison.baseline], strict=True))
    found_curves = {}
    for strategy, of in scores.items():
        # A run that was stopped has one checkpoint more, and may have lost its first.
        shared = [step for step in steps if all((step, seed) in of for seed in seeds)]
        if steps[-1] in shared:
            scores_SN = np.array([[np.mean(of[step, seed]) for seed in seeds] for step in shared])
            found_curves[strategy] = Curve(np.array(shared), scores_SN)
    return found_curves


def time_table(of_strategies: Mapping[str, Curve], baseline: str) -> str:
    """The curves, and the steps that each needs to get to the baseline's last score, over those of the baseline.

    For the interval seeds are drawn anew, the same for both sides.
    """
    goal_N = of_strategies[baseline].scores_SN[-1]
    steps_S, seeds = of_strategies[baseline].steps_S, len(goal_N)
    drawn_RN = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    body = []
    for strategy, curve in of_strategies.items():
        scores = {
            step: mean_text(MeanSD.of(list(scores_N)))
            for step, scores_N in zip(curve.steps_S, curve.scores_SN, strict=True)
        }
        times_R = (
            np.sort([curve.reaches(goal_N[seeds_N].mean(), seeds_N) for seeds_N in drawn_RN]) / steps_S[-1]
        )
        tail = round(RESAMPLES * (1 - CONFIDENCE) / 2)
        time = curve.reaches(goal_N.mean(), np.arange(seeds)) / steps_S[-1]
        ends = f"{ratio_text(times_R[tail])} to {ratio_text(times_R[-1 - tail])}"
        cells = [scores.get(step, "") for step in steps_S]
        body.append([f"`{strategy}`", *cells, ratio_text(time), ends])
    return table(["strategy", *map(str, steps_S), "time", "95 %"], body)


def novel_table(comparison: Comparison) -> str:
    """The scores on novel test rows of every strategy, in percent, and how far they are from the baseline's."""
    scores: dict[str, list[Score]] = {}
    rows_of: dict[str, int] = {}
    for run in comparison.finetuned:
        record = run.record
        value = 100 * record.score(METRIC, "novel")
        scores.setdefault(record.title, []).append(Score(run.strategy, run.seed, record.repeat, value))
        rows_of[record.title] = record.summary[NOVEL]
    body = [[f"`{strategy}`"] for strategy in comparison.strategies]
    for of_dataset in scores.values():
        found = {
            row.strategy: row.values for row in rows(of_dataset, comparison.strategies, comparison.baseline)
        }
        for strategy, line in zip(comparison.strategies, body, strict=True):
            line.append(mean_text(found[strategy]) if strategy in found else "")
    meant = {title: of_dataset for title, of_dataset in scores.items() if rows_of[title] >= ENOUGH}
    for strategy, line in zip(comparison.strategies, body, strict=True):
        against = None if strategy == comparison.baseline else overall(meant, strategy, comparison.baseline)
        better = "" if against is None else f"{against.better} of {against.pairs}"
        line += ["" if against is None else difference_text(against.difference), better]
    titles = [f"{title} ({count:,} rows)" for title, count in rows_of.items()]
    return table(["strategy", *titles, f"less `{comparison.baseline}`", "pairs better"], body)


def ratio_text(ratio: float) -> str:
    return f"{ratio:.2f}" if math.isfinite(ratio) else "more"


def mean_text(score: MeanSD) -> str:
    return f"{score.mean:.1f} ± {score.sd:.1f}"


def difference_text(difference: Difference) -> str:
    text = f"{difference.mean:+.1f} [{difference.low:+.1f}, {difference.high:+.1f}]"
    return f"**{text}**" if difference.clear else text


def main(action: str, folder: Path, where: Sequence[str]) -> None:
    comparison = read_comparison(folder)
    if action == "novel":
        print(novel_table(comparison))
        return
    data, *datasets = where
    probing = evaluation(Path(data), datasets)
    if action == "probe":
        for point in checkpoints(comparison, probing):
            probing.run(point.runs, {"model": str(point.folder)})
    else:
        print(time_table(curves(comparison, probing), comparison.baseline))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
