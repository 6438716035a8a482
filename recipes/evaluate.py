"""Evaluate a model: fine-tune and score it on every labelled set of a folder, GUE or your own, whole or few-shot.

Each run is one of the finetune recipe, in a folder of its own; the same command again runs what is missing. The table
is written after every run: results.json, table.md and table.csv. Start it several times with the same output folder to
use several GPUs or cores: each takes runs that no other is working on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cmgems.config import Component, component
from cmgems.errors import CheckpointError, CmgemsError, ConfigError, DataError, DiskError
from cmgems.evaluation.benchmarks import Dataset, find_datasets
from cmgems.evaluation.results import Results
from cmgems.evaluation.runs import Repeat, read_record, repeats, run_config, run_task
from cmgems.evaluation.settings import Settings, as_overrides, source_overrides
from cmgems.evaluation.table import result_line, show, write
from cmgems.recipes import load_recipe
from cmgems.runs import LogConfig, RunBusyError, share_folder
from cmgems.tokenization import TOKENIZERS
from cmgems.training import ComputeConfig, start_compute

# Not a matter of one data set: the next would fail in the same way.
FATAL = (CheckpointError, ConfigError, DiskError)


@dataclass(frozen=True)
class SetsConfig:
    """Attributes: dir: Folder of labelled sets, at any depth."""

    dir: Path = Path("data")


@dataclass(frozen=True)
class Config:
    """Everything an evaluation depends on.

    Attributes:
        model: A pretraining run, checkpoint or model folder, or a registered model, to start from random weights.
        tokenizer: That of a registered model; a folder brings its own.
        benchmark: `gue` takes GUE's 28 sets with their settings; null every labelled set there is.
        datasets: Names of sets, their last parts, or globs (`prom*`).
        seeds: Runs of each whole set, and of each published draw, with seeds from 0.
        shots: Training examples of each class, few-shot; [] for whole training sets.
        draws: Few-shot training sets, as many as are published or drawn by seeds from 0.
        exclude_leaks: Score without the test rows that stand in train; they are counted either way.
        keep_models: Keep weights and checkpoints of finished runs.
        finetune: The recipe of every run, and settings in place of the benchmark's.
    """

    model: str = "logo"
    tokenizer: Component = component(TOKENIZERS, "kmer6")
    benchmark: Literal["gue"] | None = None
    data: SetsConfig = field(default_factory=SetsConfig)
    datasets: tuple[str, ...] = ("*",)
    seeds: int = 1
    shots: tuple[int, ...] = ()
    draws: int = 10
    exclude_leaks: bool = False
    keep_models: bool = False
    finetune: Settings = field(default_factory=Settings)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    log: LogConfig = field(default_factory=lambda: LogConfig(every=100))

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.draws < 1:
            raise CmgemsError("`seeds` and `draws` must be 1 or more")
        if any(number < 1 for number in self.shots) or len(set(self.shots)) < len(self.shots):
            raise CmgemsError("`shots` must be different numbers, each 1 or more")
        if not self.datasets:
            raise CmgemsError("`datasets` must name one or more")


def main(config: Config, out: Path) -> None:
    """Run what ``out`` does not hold yet and nobody else is at, data set by data set, and write the table."""
    share_folder(out, config, "evaluate")
    start_compute(config.compute, 0)  # refuses at once what this machine lacks
    recipe = load_recipe(config.finetune.recipe)
    source = source_overrides(config.model, config.tokenizer)
    overrides = [
        *config.finetune.overrides(),
        *as_overrides(config.compute, "compute"),
        *as_overrides(config.log, "log"),
    ]
    gue = config.benchmark == "gue"
    datasets, absent = find_datasets(config.data.dir, gue=gue, shots=config.shots, wanted=config.datasets)
    results = Results(config.model, gue, config.exclude_leaks, absent)

    def skip(dataset: Dataset, error: CmgemsError) -> None:
        results.skipped[dataset.title] = error.line()
        print(f"warning: {dataset.title} skipped: {error.line()}", file=sys.stderr)

    plan: list[tuple[Dataset, Repeat, Path]] = []
    for dataset in datasets:
        try:
            of_set = repeats(dataset, config.seeds, config.draws)
        except DataError as error:
            skip(dataset, error)
        else:
            plan += [(dataset, repeat, out / dataset.path / repeat.name) for repeat in of_set]
    # Every config before the first run: a wrong setting, or an old run in the way, is said at once.
    for dataset, repeat, folder in plan:
        run_config(recipe, dataset, source, repeat, folder, overrides)
    print(f"{len(plan)} runs; data sets: {len(datasets)} found, {len(absent)} not; {out}", file=sys.stderr)

    busy = 0
    for number, (dataset, repeat, folder) in enumerate(plan, 1):
        if dataset.title in results.skipped:
            continue
        print(f"[{number}/{len(plan)}] {dataset.title} {repeat.name}", file=sys.stderr, flush=True)
        try:
            record = run_task(
                recipe, dataset, source, repeat, folder, overrides, keep_model=config.keep_models
            )
            print(result_line(record, dataset.title), file=sys.stderr, flush=True)
        except RunBusyError:
            busy += 1
            print("another process is at it", file=sys.stderr)
        except FATAL:
            raise
        except CmgemsError as error:
            skip(dataset, error)
        results.records = [found for run in plan if (found := read_record(*run)) is not None]
        write(results, out)
    write(results, out)
    show(results)
    if busy:
        print(
            f"{busy} of {len(plan)} runs are with other processes; the last to end has them all",
            file=sys.stderr,
        )
    elif not results.records:
        first = next(iter(results.skipped.values()))
        raise DataError("no data set could be used", where=config.data.dir, why=f"the first: {first}")
