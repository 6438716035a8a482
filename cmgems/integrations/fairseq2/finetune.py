"""Fine-tune a gene transformer on labelled sequences with fairseq2's trainer.

Copy it (`cmgems cp fairseq2_finetune my_recipe.py`), change what you like, and run the copy:
`python my_recipe.py runs/mine --config-file my.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fairseq2.recipe  # noqa: F401 - first, or importing fairseq2.evaluator is a circle
from fairseq2.datasets import DataReader
from fairseq2.evaluator import EvalUnit
from fairseq2.metrics import Mean, MetricBag, format_as_float
from fairseq2.metrics.recorders import MetricDescriptor
from fairseq2.recipe import Recipe, RecipeContext, main
from fairseq2.recipe.config import (
    CommonSection,
    DatasetSection,
    GangSection,
    LRSchedulerSection,
    ModelSection,
    OptimizerSection,
    RegimeSection,
    TokenizerSection,
    TrainerSection,
)
from fairseq2.runtime.dependency import DependencyContainer
from fairseq2.task import Task
from fairseq2.trainer import TrainUnit
from torch import Tensor, nn

from cmgems import tasks
from cmgems.errors import CmgemsError
from cmgems.integrations.fairseq2.beginning import Beginning
from cmgems.integrations.fairseq2.fixed_mask import OnceReader
from cmgems.integrations.fairseq2.labelled import DevUnit, LabelledReader, LabelledRows, LabelledSequences
from cmgems.integrations.fairseq2.model_folders import ModelFolders
from cmgems.integrations.fairseq2.models import Origin, check_tokenizer
from cmgems.integrations.fairseq2.tokenizers import DnaTokenizer
from cmgems.integrations.fairseq2.training import adamw, check_start, linear_decay, one_folder
from cmgems.models.saved import build_with_weights
from cmgems.runs.layout import SKIPPED

# Scores of the dev set by which fairseq2 may choose a checkpoint, besides its own "accuracy"; of mse the lowest.
SCORES = {
    "mcc": "MCC",
    "macro_f1": "Macro-F1",
    "micro_f1": "Micro-F1",
    "auc": "AUC",
    "average_precision": "Average Precision",
    "pearson": "Pearson's r",
    "spearman": "Spearman's rho",
    "r2": "R2",
    "mse": "Mean Squared Error",
}


@dataclass(kw_only=True)
class Config:
    """fairseq2's own sections; the model is one of ours by name or folder, with a new head."""

    model: ModelSection = field(default_factory=lambda: ModelSection(family="cmgems_classifier"))
    tokenizer: TokenizerSection = field(default_factory=lambda: TokenizerSection(name="cmgems_kmer6"))
    dataset: DatasetSection = field(default_factory=lambda: DatasetSection(family="cmgems_labelled"))
    gang: GangSection = field(default_factory=GangSection)
    trainer: TrainerSection = field(default_factory=lambda: TrainerSection(max_grad_norm=1.0))
    optimizer: OptimizerSection = field(default_factory=lambda: adamw(3e-5, weight_decay=0.01))
    lr_scheduler: LRSchedulerSection = field(default_factory=lambda: linear_decay(50))
    regime: RegimeSection = field(
        default_factory=lambda: RegimeSection(
            num_steps=1000,
            validate_every_n_steps=100,
            checkpoint_every_n_steps=100,
            publish_metrics_every_n_steps=10,
            keep_last_n_checkpoints=2,
        )
    )
    common: CommonSection = field(default_factory=one_folder)


class LabelsUnit(TrainUnit[LabelledRows]):
    """Learns the labels.

    Args:
        model: As it is trained, wrapped for several processes.
        task: Knows the loss.
    """

    def __init__(self, model: nn.Module, task: tasks.Task) -> None:
        self._model, self._task = model, task

    def prepare_metric_bag(self, metric_bag: MetricBag) -> None:
        """Add the loss."""
        metric_bag.add("loss", Mean())

    def process_batch(self, batch: LabelledRows, metric_bag: MetricBag) -> tuple[Tensor, Any]:
        """The loss summed over the labels, and their weight; fairseq2 divides by that of the whole step."""
        logits: Tensor = self._model(batch.ids_BS, batch.attention_BS)
        if not batch.weight:  # no token of these rows has a label
            return logits.sum() * 0, 0.0
        mean = self._task.loss(logits, batch.labels)
        metric_bag.get("loss", Mean).update(mean.detach(), weight=batch.weight)
        return mean * batch.weight, batch.weight


class FinetuneRecipe(Recipe):
    """Classification, multi-label classification, regression or a class for every base."""

    @property
    def config_kls(self) -> type[object]:
        """The sections of its configs."""
        return Config

    def register(self, container: DependencyContainer) -> None:
        """Name the scores that fairseq2 does not know."""
        for name, title in SCORES.items():
            score = MetricDescriptor(name, title, 200, format_as_float, higher_better=name != "mse")
            container.collection.register_instance(MetricDescriptor, score)

    def create_task(self, context: RecipeContext) -> Task:
        """The trainer, with the training set and, where there is one, the dev set."""
        config, gangs = context.get_config_as(Config), context.gangs
        check_start(context, config.model, config.trainer, config.gang)
        dataset = context.get_dataset_as(LabelledSequences)
        settings = dataset.settings
        tokenizer, model = context.get_tokenizer_as(DnaTokenizer), context.get_model()
        check_tokenizer(model, tokenizer.own)
        origin: Origin = model.origin
        limit, seed = origin.config.max_positions, config.common.seed
        train, dev = dataset.read(tokenizer.own, limit, seed, context.output_dir / SKIPPED)
        task = settings.task.build(tasks.TASKS).fit(train.targets, train.names)
        check_labels(origin, task, len(train.names))

        trained = context.get_data_parallel_model()
        parts = config.trainer.grad_accumulation.num_batches
        beginning = Beginning(settings, seed)
        reader = LabelledReader(
            train, task, settings.sequences, parts, tokenizer.own, limit, beginning, gangs
        )
        units: list[EvalUnit[Any]] = []
        readers: list[DataReader[Any]] = []
        if dev is not None:
            units.append(DevUnit(trained, task, dev, tokenizer.own, limit, gangs.device))
            readers.append(OnceReader())
        trainer = context.create_trainer(LabelsUnit(trained, task), reader, units, readers)

        def finished(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            form = build_with_weights(
                origin.config, origin.head, origin.num_labels, weights, where=context.output_dir
            )
            task.finish_training(form)
            return form.state_dict()

        facts = {"recipe": "fairseq2_finetune", "data": settings.data.dir.name}
        folders = ModelFolders(context, origin, tokenizer, facts, train.names, finished)
        folders.catch_up()
        trainer.register_checkpoint_save_hook(folders)
        return trainer


def check_labels(origin: Origin, task: tasks.Task, names: int) -> None:
    """Check that a model has the head of a task, and an output for each name.

    Raises:
        CmgemsError: if not; it says what to set.
    """
    if (origin.head, origin.num_labels) != (task.head, names):
        raise CmgemsError(
            "model and labels differ",
            where="model",
            why=f"its head is {origin.head} with {origin.num_labels} outputs, the data are {task.head} with {names}",
            fix=f"set model.config_overrides to {{head: {task.head}, num_labels: {names}}}",
        )


if __name__ == "__main__":
    main(FinetuneRecipe())
