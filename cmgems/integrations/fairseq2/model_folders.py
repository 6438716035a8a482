"""A model folder of ours in each of fairseq2's checkpoints, so that every command of cmgems takes the run.

``cmgems.load``, ``cmgems export`` and all others find the newest checkpoint of a run folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from fairseq2.device import CPU
from fairseq2.gang import create_fake_gangs
from fairseq2.models import ModelFamily
from fairseq2.recipe import RecipeContext
from fairseq2.trainer import TrainStepHookArgs
from torch import Tensor

from cmgems.integrations.fairseq2.models import Archs, RegisteredModel, family_of, head_of, own_config
from cmgems.integrations.fairseq2.tokenizers import DnaTokenizer
from cmgems.integrations.fairseq2.training import step_folder
from cmgems.models import MODELS, ModelConfig, save_model
from cmgems.runs.layout import INFO_FILE


class ModelFolders:
    """Writes ``model.safetensors`` and ``model.json`` into a checkpoint once fairseq2 has saved it.

    Args:
        context: Of the recipe.
        config: The model's config in fairseq2.
        tokenizer: The tokenizer it is trained with.
        facts: What the model card says of the training.
        labels: Names of the outputs; none for a masked language model.
    """

    def __init__(
        self,
        context: RecipeContext,
        config: Any,
        tokenizer: DnaTokenizer,
        facts: Mapping[str, Any],
        labels: Sequence[str] = (),
    ) -> None:
        self._context, self._config, self._tokenizer = context, config, tokenizer
        self._facts, self._labels = dict(facts), labels

    def __call__(self, args: TrainStepHookArgs) -> None:
        """Write that of a step; fairseq2 calls it when the checkpoint is there."""
        if self._context.gangs.root.rank == 0:
            self.write(args.step_nr)

    def catch_up(self) -> None:
        """Write that of the newest checkpoint, if the run was killed before."""
        step = self._context.get_checkpoint_manager().maybe_get_last_step_number()
        if step is None or self._context.gangs.root.rank != 0:
            return
        if not (step_folder(self._context, step) / INFO_FILE).exists():
            self.write(step)

    def write(self, step: int) -> None:
        """Read the checkpoint's weights, whole also where they were sharded, and write the folder."""
        config, folder = self._config, step_folder(self._context, step)
        family = self._context.resolver.resolve(ModelFamily, key=family_of(config))
        gangs = create_fake_gangs(CPU)
        tensors = family.iter_checkpoint(folder / "model", config, gangs, mmap=True, restrict=True)
        weights: dict[str, Tensor] = {name: tensor.to(torch.float32) for name, tensor in tensors}
        save_model(
            folder,
            weights,
            model_name=registered_name(config),
            config=own_config(config),
            head=head_of(config),
            tokenizer_name=self._tokenizer.name,
            tokenizer=self._tokenizer.own,
            labels=self._labels,
            training={**self._facts, "steps": step},
        )


def registered_name(config: Any) -> str:
    """The name of the registered model that a config comes from: the one that differs in the fewest fields."""
    if isinstance(config, RegisteredModel):
        return config.name
    names = [str(name) for name in Archs(type(config)).iter_keys()]
    return min(names, key=lambda name: _differing(MODELS.get(name), config))


def _differing(one: ModelConfig, other: Any) -> int:
    fields = dataclasses.fields(cast(Any, one))
    return sum(getattr(one, field.name) != getattr(other, field.name) for field in fields)
