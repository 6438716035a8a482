"""A model folder of ours in each of fairseq2's checkpoints, so that every command of cmgems takes the run.

``cmgems.load``, ``cmgems export`` and all others find the newest checkpoint of a run folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from fairseq2.device import CPU
from fairseq2.gang import create_fake_gangs
from fairseq2.model_checkpoint import ModelCheckpointLoader, ModelCheckpointLoadOptions
from fairseq2.recipe import RecipeContext
from fairseq2.trainer import TrainStepHookArgs
from torch import Tensor

from cmgems.integrations.fairseq2.models import Origin
from cmgems.integrations.fairseq2.tokenizers import DnaTokenizer
from cmgems.integrations.fairseq2.training import step_folder
from cmgems.models import save_model
from cmgems.runs.layout import INFO_FILE


class ModelFolders:
    """Writes ``model.safetensors`` and ``model.json`` into a checkpoint once fairseq2 has saved it.

    Args:
        context: Of the recipe.
        origin: What the model was made from.
        tokenizer: The tokenizer it is trained with.
        facts: What the model card says of the training.
        labels: Names of the outputs; none for a masked language model.
        finished: Makes the weights of the model folder of the trained ones, if they are others.
    """

    def __init__(
        self,
        context: RecipeContext,
        origin: Origin,
        tokenizer: DnaTokenizer,
        facts: Mapping[str, Any],
        labels: Sequence[str] = (),
        finished: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = lambda weights: weights,
    ) -> None:
        self._context, self._origin, self._tokenizer = context, origin, tokenizer
        self._facts, self._labels, self._finished = dict(facts), labels, finished

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
        folder, origin = step_folder(self._context, step), self._origin
        loader = self._context.resolver.resolve(ModelCheckpointLoader)
        options = ModelCheckpointLoadOptions(gangs=create_fake_gangs(CPU), mmap=True)
        tensors = loader.lazy_load(folder / "model", {}, options)
        save_model(
            folder,
            self._finished({name: tensor.to(torch.float32) for name, tensor in tensors}),
            model_name=origin.name,
            config=origin.config,
            head=origin.head,
            tokenizer_name=self._tokenizer.name,
            tokenizer=self._tokenizer.own,
            labels=self._labels,
            training={**self._facts, "steps": step},
        )
