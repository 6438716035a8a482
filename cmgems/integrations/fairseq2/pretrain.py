"""Pretrain a gene transformer with fairseq2's trainer and a masking curriculum.

Copy it (`cmgems cp fairseq2_pretrain my_recipe.py`), change what you like, and run the copy:
`python my_recipe.py runs/mine --config-file my.yaml`.
"""

from __future__ import annotations

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

from cmgems.errors import CmgemsError
from cmgems.integrations.fairseq2.fixed_mask import FixedMaskLoss, FixedMaskUnit, OnceReader
from cmgems.integrations.fairseq2.masked_genome import MaskedGenome, MaskedGenomeReader, MaskedTokens
from cmgems.integrations.fairseq2.model_folders import ModelFolders
from cmgems.integrations.fairseq2.models import Origin, check_tokenizer
from cmgems.integrations.fairseq2.tokenizers import DnaTokenizer
from cmgems.integrations.fairseq2.training import adamw, autocast_of, check_start, linear_decay, one_folder


@dataclass(kw_only=True)
class Config:
    """fairseq2's own sections; the defaults pretrain LOGO as in the paper, given a store and a table."""

    model: ModelSection = field(default_factory=lambda: ModelSection(family="cmgems_bert", arch="logo"))
    tokenizer: TokenizerSection = field(default_factory=lambda: TokenizerSection(name="cmgems_kmer6"))
    dataset: DatasetSection = field(default_factory=lambda: DatasetSection(family="cmgems_masked_genome"))
    gang: GangSection = field(default_factory=GangSection)
    trainer: TrainerSection = field(default_factory=lambda: TrainerSection(max_grad_norm=1.0))
    optimizer: OptimizerSection = field(default_factory=lambda: adamw(8e-4, weight_decay=0.01))
    lr_scheduler: LRSchedulerSection = field(default_factory=lambda: linear_decay(500))
    regime: RegimeSection = field(
        default_factory=lambda: RegimeSection(
            num_steps=10_000,
            validate_every_n_steps=500,
            checkpoint_every_n_steps=1000,
            publish_metrics_every_n_steps=10,
            keep_last_n_checkpoints=2,
        )
    )
    common: CommonSection = field(default_factory=one_folder)


class MaskedLMUnit(TrainUnit[MaskedTokens]):
    """Guesses the masked tokens.

    Args:
        model: As it is trained, wrapped for several processes.
        processes: How many share a step; fairseq2 averages their gradients.
    """

    def __init__(self, model: nn.Module, processes: int) -> None:
        self._model, self._processes = model, processes

    def prepare_metric_bag(self, metric_bag: MetricBag) -> None:
        """Add the loss and the number of real tokens."""
        metric_bag.add("loss", Mean())

    def process_batch(self, batch: MaskedTokens, metric_bag: MetricBag) -> tuple[Tensor, int]:
        """This batch's share of the step's loss: the mean over all masked tokens of the step.

        Divided by the step's count here rather than after the backward pass, it is to the bit the loss of `cmgems run
        pretrain`. fairseq2 then has one target to divide by, which it finds in the first batch of the step.
        """
        nats, masked = batch.loss_sum(self._model), len(batch.labels_M)
        if masked:
            metric_bag.get("loss", Mean).update(nats.detach() / masked, weight=masked)
        return nats / (max(batch.targets, 1) / self._processes), int(batch.first)


class PretrainRecipe(Recipe):
    """Masked language modelling on a genome store."""

    @property
    def config_kls(self) -> type[object]:
        """The sections of its configs."""
        return Config

    def register(self, container: DependencyContainer) -> None:
        """Name the metrics that fairseq2 does not know."""
        perplexity = MetricDescriptor("perplexity", "Perplexity", 110, format_as_float)
        container.collection.register_instance(MetricDescriptor, perplexity)

    def create_task(self, context: RecipeContext) -> Task:
        """The trainer, with the reader that owns the curriculum and the validation it is fed by."""
        config, gangs = context.get_config_as(Config), context.gangs
        check_start(context, config.model, config.trainer, config.gang)
        if config.regime.num_steps is None:
            raise CmgemsError(
                "no end", where="regime.num_steps", why="a curriculum must know it", fix="set it"
            )
        dataset = context.get_dataset_as(MaskedGenome)
        tokenizer, model = context.get_tokenizer_as(DnaTokenizer), context.get_model()
        check_tokenizer(model, tokenizer.own)
        origin: Origin = model.origin
        data = dataset.open(tokenizer.own, origin.config.max_positions, config.common.seed)

        trained = context.get_data_parallel_model()
        fixed = data.validation_batches(dataset.settings.validation)
        loss = FixedMaskLoss(trained, fixed, gangs, autocast_of(config.trainer, gangs))
        parts = config.trainer.grad_accumulation.num_batches
        reader = MaskedGenomeReader(dataset.settings, data, config.regime.num_steps, parts, gangs, loss.at)
        unit = MaskedLMUnit(trained, gangs.dp.size)
        units: list[EvalUnit[Any]] = [FixedMaskUnit(loss)]
        readers: list[DataReader[Any]] = [OnceReader()]
        trainer = context.create_trainer(unit, reader, units, readers)

        curriculum = dataset.settings.masking.curriculum.name
        facts = {"recipe": "fairseq2", "curriculum": curriculum, "genome_sha256": data.store.sha256}
        folders = ModelFolders(context, origin, tokenizer, facts)
        folders.catch_up()
        trainer.register_checkpoint_save_hook(folders)
        return trainer


if __name__ == "__main__":
    main(PretrainRecipe())
