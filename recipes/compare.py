"""Compare masking strategies at equal compute: pretrain with each, evaluate every model alike, make one report.

Every run is one of the pretrain or finetune recipe, in a folder of its own; the same command again runs what is
missing. Start it several times with the same output folder to use several GPUs or cores: each takes runs that no other
is working on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from cmgems.config import RecipeSettings
from cmgems.errors import CmgemsError
from cmgems.evaluation.comparison import read_runs, write_figures
from cmgems.evaluation.config import EvaluationConfig
from cmgems.evaluation.models import plan_models
from cmgems.evaluation.runs import Evaluation
from cmgems.report.comparison import write_comparison
from cmgems.runs import RunBusyError, RunReader, share_folder


@dataclass(frozen=True)
class Config:
    """Everything a comparison depends on.

    Attributes:
        strategies: A curriculum or masking strategy each, with options of the section `masking` after a `+`:
            `cm_gems`, `genemask+rate=0.3`, `cm_gems+curriculum.threshold=20`; `none` for the model before pretraining.
        baseline: The strategy with which the others are compared, run by run.
        seeds: Pretraining runs of each strategy, with seeds from 0.
        pretrain: The recipe of all pretraining runs, its config, and values of it (`steps: 1000`). The strategies
            replace the config's curriculum, and `{seed}` in a value stands for the run's seed.
        pretrained: Another comparison's folder, whose pretraining runs are evaluated; those it lacks are made there.
            Null for runs of its own.
        evaluate: How every model is evaluated; null for pretraining only. `seeds` and `draws` are those of each
            pretraining run: pretraining runs of different seeds share none, strategies share all.
    """

    strategies: tuple[str, ...] = ("random_span", "genemask", "global_pmi", "cm_step", "cm_gems", "annealed")
    baseline: str = "random_span"
    seeds: int = 3
    pretrain: RecipeSettings = field(default_factory=lambda: RecipeSettings("pretrain", "logo"))
    pretrained: Path | None = None
    evaluate: EvaluationConfig | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise CmgemsError(f"`seeds` must be 1 or more, but is {self.seeds}")
        if not self.strategies:
            raise CmgemsError("`strategies` must name one or more")
        if len(set(self.strategies)) < len(self.strategies):
            raise CmgemsError("`strategies` must be different")
        if self.baseline not in self.strategies:
            raise CmgemsError(
                f"`baseline` must be one of the strategies, but is {self.baseline!r}",
                fix=f"known: {', '.join(self.strategies)}",
            )


def main(config: Config, out: Path) -> None:
    """Run what ``out`` does not hold yet and no other process is working on, and report what is there."""
    if config.pretrained is not None and RunReader(config.pretrained).recipe != "compare":
        raise CmgemsError(
            "no comparison", where=config.pretrained, fix="`pretrained` is the folder of another"
        )
    pretrain = config.pretrain.load()
    evaluation = Evaluation(config.evaluate)
    models = plan_models(config.pretrain, config.strategies, config.seeds, evaluation, out, config.pretrained)
    # Every config before the first run: a mistake in the last of them should not cost a night.
    for model in models:
        evaluation.check(model.runs, model.untrained(), stand_in=model.is_trained)
    recipes = {"pretrain.recipe": pretrain}
    if config.evaluate is not None:
        recipes["evaluate.finetune.recipe"] = evaluation.recipe
    share_folder(out, config, "compare", recipes)

    def report() -> Path:
        comparison = read_runs(models, evaluation, out, config.baseline)
        write_figures(comparison)
        return write_comparison(comparison, config.baseline, comparison.skipped)

    waiting = 0
    for number, model in enumerate(models, 1):
        print(f"[{number}/{len(models)}] {model.strategy}, seed {model.seed}", file=sys.stderr, flush=True)
        finished = model.finished
        try:
            if model.is_trained:
                pretrain.main(model.config, model.run_folder)
            busy = evaluation.run(model.runs, model.start()) > 0
        except RunBusyError:
            busy = True
        if busy:
            waiting += 1
            print(f"{model.strategy}, seed {model.seed}: another process is working on it", file=sys.stderr)
        if not finished and number < len(models):
            report()
    path = report()
    if waiting:
        print(
            f"{waiting} of {len(models)} were with other processes; the last to end has it all",
            file=sys.stderr,
        )
    print(f"report: {path}")
