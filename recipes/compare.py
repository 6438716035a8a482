"""Compare masking strategies at equal compute: pretrain with each, fine-tune on the same tasks, make one report.

Every run is one of the pretrain or finetune recipe in a folder of its own; the same command again goes on with what is
missing. Start it several times with the same output folder to use several GPUs or cores: each takes runs that no other
is working on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmgems.config import load_config
from cmgems.errors import CmgemsError, DataError
from cmgems.evaluation.comparison import (
    UNTRAINED,
    Comparison,
    find_tasks,
    masking_overrides,
)
from cmgems.evaluation.runs import run_config, run_task
from cmgems.evaluation.settings import as_overrides
from cmgems.recipes import find_config, load_recipe
from cmgems.report.comparison import write_comparison
from cmgems.runs import RunBusyError, share_folder


@dataclass(frozen=True)
class Pretrain:
    """What the pretraining runs share.

    Attributes:
        recipe: The pretrain recipe, or your edited copy of it.
        config: Its config; the strategies replace the curriculum it has.
        overrides: `key=value` on top of it, `steps=1000` say; `{seed}` in it stands for the run's seed.
    """

    recipe: str = "pretrain"
    config: str = "logo"
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finetune:
    """What the fine-tuning runs share.

    Attributes:
        recipe: The finetune recipe, or your edited copy of it.
        dir: Folder of labelled sets, at any depth.
        tasks: `NAME` for a whole set, `NAME@10` for ten examples of each class.
        draws: Few-shot training sets for each pretraining seed.
        overrides: `key=value` on top of the sets' own settings.
    """

    recipe: str = "finetune"
    dir: Path = Path("data")
    tasks: tuple[str, ...] = ()
    draws: int = 1
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise CmgemsError(f"`draws` must be 1 or more, but is {self.draws}")


@dataclass(frozen=True)
class Config:
    """Everything a comparison depends on.

    Attributes:
        strategies: A curriculum or masking strategy each, with options of the section `masking` after a `+`:
            `cm_gems`, `genemask+rate=0.3`, `cm_gems+curriculum.threshold=20`; `none` for models not pretrained.
        baseline: The strategy whose runs the others' are paired with.
        seeds: Runs of each, with seeds from 0.
    """

    strategies: tuple[str, ...] = ("random_span", "genemask", "global_pmi", "cm_step", "cm_gems", "annealed")
    baseline: str = "random_span"
    seeds: int = 3
    pretrain: Pretrain = field(default_factory=Pretrain)
    finetune: Finetune = field(default_factory=Finetune)

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
    """Run what ``out`` does not hold yet and nobody else is at, and write the report of what is there."""
    share_folder(out, config, "compare")
    pretrain = load_recipe(config.pretrain.recipe)
    finetune = load_recipe(config.finetune.recipe)
    base = find_config(config.pretrain.config, "pretrain")
    tasks = find_tasks(config.finetune.dir, config.finetune.tasks) if config.finetune.tasks else []
    comparison = Comparison(out, config.strategies, config.seeds, tuple(tasks), config.finetune.draws)

    def pretrain_config(strategy: str, seed: int) -> Any:
        masking = [] if strategy == UNTRAINED else masking_overrides(strategy)
        shared = [override.replace("{seed}", str(seed)) for override in config.pretrain.overrides]
        overrides = [*shared, *masking, f"seed={seed}"]
        return load_config(pretrain.config_schema, base, overrides)

    def source(strategy: str, seed: int, values: Any) -> list[str]:
        if strategy != UNTRAINED:
            return [f"model={comparison.pretraining_folder(strategy, seed)}"]
        return [*as_overrides(values.model, "model"), *as_overrides(values.tokenizer, "tokenizer")]

    # Every config once before the first run: a mistake in the last of them should not cost a night.
    plan = [(s, seed, pretrain_config(s, seed)) for seed in range(config.seeds) for s in config.strategies]
    for strategy, seed, values in plan:
        for task, repeat, folder in comparison.fine_tunings(strategy, seed):
            weights = source(strategy, seed, values)
            run_config(finetune, task, weights, repeat, folder, config.finetune.overrides)

    busy, skipped = 0, dict[str, str]()
    for number, (strategy, seed, values) in enumerate(plan, 1):
        print(f"[{number}/{len(plan)}] {strategy}, seed {seed}", file=sys.stderr, flush=True)
        news = not comparison.finished(strategy, seed)
        runs = list(comparison.fine_tunings(strategy, seed))
        waiting = False
        try:
            if strategy != UNTRAINED:
                pretrain.main(values, comparison.pretraining_folder(strategy, seed))
        except RunBusyError:
            waiting, runs = True, []
        for task, repeat, folder in runs:
            if task.title in skipped:
                continue
            weights = source(strategy, seed, values)
            try:
                run_task(finetune, task, weights, repeat, folder, config.finetune.overrides)
            except RunBusyError:
                waiting = True
            except DataError as error:
                skipped[task.title] = error.line()
                print(f"warning: {task.title} skipped: {error.line()}", file=sys.stderr)
        if waiting:
            busy += 1
            print(f"{strategy}, seed {seed}: another process is at it", file=sys.stderr)
        if news and number < len(plan):
            write_comparison(comparison, config.baseline, skipped)
    report = write_comparison(comparison, config.baseline, skipped)
    if busy:
        print(f"{busy} of {len(plan)} were with other processes; the last to end has it all", file=sys.stderr)
    print(f"report: {report}")
