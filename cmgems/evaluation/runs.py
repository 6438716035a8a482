"""The fine-tuning runs of an evaluation: which there are, and from their datasets to their scores."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from cmgems.config import Component, config_dict, config_value, load_config
from cmgems.config.recipe_settings import Values
from cmgems.errors import CheckpointError, CmgemsError, ConfigError, DataError, DiskError
from cmgems.evaluation.benchmarks import Dataset, find_datasets
from cmgems.evaluation.config import EvaluationConfig
from cmgems.evaluation.repeats import Repeat, repeats
from cmgems.evaluation.results import METRICS, Record
from cmgems.evaluation.yardsticks import kept_audit
from cmgems.files import is_there
from cmgems.models import find_model_folder
from cmgems.runs import RunBusyError, RunReader
from cmgems.runs.folder import check_same
from cmgems.runs.layout import BEST, CHECKPOINTS, SUMMARY
from cmgems.runs.summary import CLASSES_PREDICTED, LEAKED
from cmgems.tasks import TASKS
from cmgems.yardsticks import Audit, Baselines, read_audit

# Errors that are not about one dataset: the next one would fail in the same way.
FATAL = (CheckpointError, ConfigError, DiskError)


@dataclass(frozen=True)
class FineTuning:
    """One fine-tuning run.

    Attributes:
        dataset: What it learns.
        repeat: Its seed and draw.
        folder: The run folder.
    """

    dataset: Dataset
    repeat: Repeat
    folder: Path

    @property
    def audit_path(self) -> Path:
        """Where the audit of its training set is kept; runs on the same one share it."""
        drawn = self.repeat.training_set(self.dataset.shots)
        return self.folder.parent / (f"audit-{drawn}.json" if drawn else "audit.json")

    @property
    def vectors_path(self) -> Path:
        """Where runs that do not train keep the vectors of the dataset's sequences for each other."""
        return self.folder.parents[0 if self.dataset.shots is None else 1] / "vectors"

    @property
    def finished(self) -> bool:
        """Whether it has its scores."""
        return is_there(self.folder / SUMMARY)

    def record(self) -> Record | None:
        """What it found; None if it has not finished.

        Raises:
            CheckpointError: if its files cannot be read.
        """
        run = RunReader(self.folder)
        if run.summary is None:
            return None
        task = run.setting("task")  # a copied recipe may have none
        default = TASKS.get(task).metric if task in TASKS.names() else self.dataset.metric
        metric = run.setting("task.metric") or default
        name, shots = self.dataset.name, self.dataset.shots
        return Record(name, shots, self.repeat.draw, self.repeat.seed, metric, run.summary)


class Evaluation:
    """Fine-tunes any number of models on the same datasets; every run is one of the finetune recipe.

    Attributes:
        datasets: Those found.
        absent: Titles of datasets that were named and not found.
        skipped: Titles of datasets that cannot be used, and why; failing runs add to them.
        exclude_leaks: Whether scores leave out the test rows that are in train.
        recipe: That of every run; there is none without a config.
    """

    def __init__(self, config: EvaluationConfig | None) -> None:
        """Find the datasets; without a config there are none.

        Raises:
            CmgemsError: if there is no dataset or no recipe of that name.
        """
        self.datasets: list[Dataset] = []
        self.absent: list[str] = []
        self.skipped: dict[str, str] = {}
        self.exclude_leaks = config is not None and config.exclude_leaks
        self._records: dict[Path, Record] = {}
        self._audits: dict[Path, Audit | None] = {}
        if config is not None:
            self._config, self.recipe = config, config.finetune.load()
            self.datasets, self.absent = find_datasets(config.data.dir, config.datasets, config.benchmark)

    def runs(self, out: Path, part: int = 0) -> list[FineTuning]:
        """The runs of one model; a dataset with bad draws is skipped.

        Args:
            out: Every run has a folder below.
            part: Which share of seeds and draws, see ``repeats``.
        """
        found: list[FineTuning] = []
        for dataset in self.datasets:
            if dataset.title in self.skipped:
                continue
            try:
                config = self._config
                of_dataset = repeats(dataset, config.seeds, config.draws, part, config.data.columns)
            except DataError as error:
                self._skip(dataset, error)
            else:
                found += [
                    FineTuning(dataset, repeat, out / dataset.path / repeat.name) for repeat in of_dataset
                ]
        return found

    def check(self, runs: Sequence[FineTuning], model: Values, *, stand_in: bool = False) -> None:
        """Raise what ``run`` would raise at once.

        Args:
            runs: From ``runs``.
            model: The keys ``model`` and ``tokenizer`` of the finetune recipe.
            stand_in: Whether they are in place of a model that does not exist yet, so that folders cannot be checked.

        Raises:
            ConfigError: if the recipe refuses a value.
            CheckpointError: if the folder of a run holds one with another config or other inputs.
        """
        for run in runs:
            config = self._run_config(run, model)
            if not stand_in:
                check_same(run.folder, config)

    def run(
        self,
        runs: Sequence[FineTuning],
        model: Values,
        after: Callable[[], None] = lambda: None,
        *,
        audits: bool = False,
    ) -> int:
        """Do the runs that are not finished and that no other process is working on.

        A dataset whose files turn out to be of no use is skipped.

        Args:
            runs, model: As in ``check``.
            after: Called after every run.
            audits: Whether the training set of every run is audited as well, which scores baselines without a model.

        Returns:
            How many runs other processes are working on.

        Raises:
            CmgemsError: if it is not about the dataset, see ``FATAL``.
        """
        busy = 0
        for number, run in enumerate(runs, 1):
            title = run.dataset.title
            if title in self.skipped:
                continue
            self.check([run], model)  # a finished one as well: its scores go into the same table
            finished = run.finished
            try:
                if not finished:
                    print(f"[{number}/{len(runs)}] {title} {run.repeat.name}", file=sys.stderr, flush=True)
                    print(result_line(self._fine_tune(run, model)), file=sys.stderr, flush=True)
                if audits and run.audit_path not in self._audits:
                    self._audits[run.audit_path] = kept_audit(run.audit_path, self._run_config(run, model))
            except RunBusyError:
                busy += 1
                print("another process is working on it", file=sys.stderr)
            except FATAL:
                raise
            except CmgemsError as error:
                self._skip(run.dataset, error)
            self._drop_vectors(run, runs)
            if not finished:
                after()
        return busy

    def records(self, runs: Sequence[FineTuning]) -> list[Record]:
        """What the finished ones of ``runs`` found, with baselines where the training set has been audited."""
        found = []
        for run in runs:
            if run.folder not in self._records and (record := run.record()) is not None:
                self._records[run.folder] = record
            if run.folder in self._records:
                found.append(replace(self._records[run.folder], baselines=self._baselines(run)))
        return found

    def _baselines(self, run: FineTuning) -> Baselines | None:
        """Those of what a run learns from, if it has been audited, here or by another process."""
        path = run.audit_path
        if path not in self._audits and is_there(path):
            with suppress(DataError):  # of another version
                self._audits[path] = read_audit(path)
        audit = self._audits.get(path)
        return None if audit is None else audit.baselines

    def _drop_vectors(self, run: FineTuning, runs: Sequence[FineTuning]) -> None:
        """Remove the kept vectors of a dataset when all of its runs have finished."""
        path = run.vectors_path
        if not self._config.keep_models and all(one.finished for one in runs if one.vectors_path == path):
            shutil.rmtree(path, ignore_errors=True)

    def _skip(self, dataset: Dataset, error: CmgemsError) -> None:
        self.skipped[dataset.title] = error.line()
        print(f"warning: {dataset.title} skipped: {error.line()}", file=sys.stderr)

    def _run_config(self, run: FineTuning, model: Values) -> Any:
        repeat: Values = {"seed": run.repeat.seed}
        if run.repeat.draw is not None:
            repeat = {**repeat, "data": {"draw": run.repeat.draw}}
        own, schema = self._config.finetune, self.recipe.config_schema
        keys = {field.name for field in fields(schema)}
        dataset = run.dataset.values(trains="epochs" in keys)
        shared: Values = {
            key: config_dict(getattr(self._config, key)) for key in ("compute", "log") if key in keys
        }
        vectors: Values = {"vectors": str(run.vectors_path)} if "vectors" in keys else {}
        layers = [dataset, self._config.data.values(), model, repeat, shared, vectors, own.values]
        return load_config(schema, own.config_path(), values=layers)

    def _fine_tune(self, run: FineTuning, model: Values) -> Record:
        """One run, going on with what its folder holds."""
        torch.compiler.reset()  # graphs of the run before would count against the limit of this one
        self.recipe.main(self._run_config(run, model), run.folder)
        record = run.record()
        if record is None:
            fix = f"let {self.recipe.path} call run.finish at its end"
            raise CheckpointError(f"no {SUMMARY}", where=run.folder, fix=fix)
        if not self._config.keep_models:
            for name in (CHECKPOINTS, BEST):
                shutil.rmtree(run.folder / name, ignore_errors=True)
        return record


def starting_values(model: Component, tokenizer: Component | None) -> Values:
    """The values of the finetune recipe's config that start from ``model``.

    Args:
        model: A registered model, to start from random weights, or a run, checkpoint or model folder.
        tokenizer: That of a registered model; beside a folder None, or the same as the folder's.

    Raises:
        CheckpointError: if the folder holds no model.
    """
    if model.folder is None:
        return {"model": config_value(model), "tokenizer": config_value(tokenizer)}
    # The very folder: a run that goes on has another later, and its scores must not mix with these.
    found = find_model_folder(model.folder)
    values = {"model": f"./{found}" if found.name == str(found) else str(found)}
    return values if tokenizer is None else values | {"tokenizer": config_value(tokenizer)}


def result_line(record: Record) -> str:
    """A finished run in one line: 'prom/prom_core_tata: MCC 71.2, macro-F1 85.3, ...'."""
    percent = {label: 100 * record.score(metric) for metric, label in METRICS.items()}
    scores = [f"{label} {value:.1f}" for label, value in percent.items() if value == value]  # without NaN
    leaked = record.summary.get(LEAKED)
    more = [f"{leaked} test sequences are in train"] if leaked else []
    more += ["collapsed: one class predicted"] if record.summary.get(CLASSES_PREDICTED) == 1 else []
    return f"{record.title}: {', '.join(scores)}" + "".join(f"; {text}" for text in more)
