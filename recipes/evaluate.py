"""Evaluate a model: fine-tune and score it on every dataset of a folder, GUE or your own, whole or few-shot.

Each run is one of the finetune recipe, in a folder of its own; the same command again runs what is missing. The table
is written after every run: results.json, table.md and table.csv. Start it several times with the same output folder to
use several GPUs or cores: each takes runs that no other is working on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from cmgems.config import Component, component
from cmgems.errors import DataError
from cmgems.evaluation.config import EvaluationConfig
from cmgems.evaluation.results import Results
from cmgems.evaluation.runs import Evaluation, starting_values
from cmgems.evaluation.table import show, write
from cmgems.models import MODELS, model_content
from cmgems.runs import share_folder
from cmgems.tokenization import TOKENIZERS
from cmgems.training import start_compute


@dataclass(frozen=True, kw_only=True)
class Config(EvaluationConfig):
    """Everything an evaluation depends on: how the model is evaluated, and which.

    Attributes:
        model: A run, checkpoint or model folder, or a registered model, to start from random weights.
        tokenizer: That of a registered model; beside a folder it must be the folder's own.
        yardsticks: Score baselines that need no model on the same rows, see `cmgems labels audit`.
    """

    model: Component = component(MODELS, "logo", or_folder=True, content=model_content)
    tokenizer: Component | None = component(TOKENIZERS, "kmer6", owner="model")
    yardsticks: bool = True


def main(config: Config, out: Path) -> None:
    """Run what ``out`` does not hold yet and no other process is working on, and write the table."""
    start_compute(config.compute, 0)  # refuses at once what this machine lacks
    model = starting_values(config.model, config.tokenizer)
    evaluation = Evaluation(config)
    runs = evaluation.runs(out)
    # Every config before the first run: a wrong setting, or an old run in the way, is reported at once.
    evaluation.check(runs, model)
    share_folder(out, config, "evaluate", {"finetune.recipe": evaluation.recipe})
    counts = f"{len(evaluation.datasets)} found, {len(evaluation.absent)} not"
    print(f"{len(runs)} runs; datasets: {counts}; {out}", file=sys.stderr)

    def results() -> Results:
        return Results(
            config.model.name,
            config.benchmark == "gue",
            config.exclude_leaks,
            tuple(evaluation.absent),
            evaluation.skipped,
            tuple(evaluation.records(runs)),
        )

    busy = evaluation.run(runs, model, after=lambda: write(results(), out), audits=config.yardsticks)
    found = results()
    write(found, out)
    show(found)
    if busy:
        print(
            f"{busy} of {len(runs)} runs are with other processes; the last to end has them all",
            file=sys.stderr,
        )
    elif not found.records:
        reason = next(iter(found.skipped.values()))
        raise DataError("no dataset could be used", where=config.data.dir, why=f"the first: {reason}")
