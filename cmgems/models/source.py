"""What a run starts from: a registered model with random weights, or a folder of a trained model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from cmgems.config import Component
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models.base import MODELS, Head, ModelConfig, Pool, build_model, fit_to_tokenizer
from cmgems.models.saved import SavedModel, load_model, save_model
from cmgems.tokenization import TOKENIZERS, Tokenizer


@dataclass(frozen=True)
class ModelSource:
    """A model to train, by ``of``.

    Attributes:
        model_name: Name of the registered model.
        config: Its config, as large as the tokenizer's vocabulary.
        tokenizer_name: Name of the registered tokenizer.
        tokenizer: The tokenizer.
        saved: The weights to start from; None for random ones.
    """

    model_name: str
    config: ModelConfig
    tokenizer_name: str
    tokenizer: Tokenizer
    saved: SavedModel | None = None

    @classmethod
    def of(
        cls,
        model: Component,
        tokenizer: Component | None,
        dropout: float | None = None,
        pool: Pool | None = None,
    ) -> ModelSource:
        """What a config's ``model`` and ``tokenizer`` name.

        Args:
            model: A registered model with its options, or a run, checkpoint or model folder.
            tokenizer: The tokenizer of a registered model; a folder brings its own, and takes no other.
            dropout: Hidden dropout in place of the model's own.
            pool: What a head for sequences reads, in place of the model's own choice.

        Raises:
            CheckpointError: if the folder holds no model, a damaged one, or one with another tokenizer.
            CmgemsError: if the model cannot take the tokenizer, none is named, or the model has no such option.
        """
        if model.folder is not None:
            saved = load_model(model.folder)
            if tokenizer is not None and tokenizer.build(TOKENIZERS) != saved.tokenizer:
                raise CheckpointError(
                    "another tokenizer",
                    where=saved.folder,
                    why=f"the model was trained with {saved.tokenizer_name}, not {tokenizer.name}",
                    fix="leave `tokenizer` out: a model folder brings its own",
                )
            source = cls(saved.model_name, saved.config, saved.tokenizer_name, saved.tokenizer, saved)
        elif tokenizer is None:
            raise CmgemsError("no tokenizer", where="tokenizer", fix=f"name one for the model {model.name}")
        else:
            built = tokenizer.build(TOKENIZERS)
            source = cls(model.name, fit_to_tokenizer(model.build(MODELS), built), tokenizer.name, built)
        return dataclasses.replace(source, config=_changed(source, hidden_dropout=dropout, pool=pool))

    def masked_lm(self) -> nn.Module:
        """A masked language model, on the CPU.

        Raises:
            CheckpointError: if the folder holds a fine-tuned model, or an encoder without a head.
        """
        model = self.config.masked_lm()
        if self.saved is not None:
            if self.saved.head != "masked_lm":
                raise CheckpointError(
                    "not a masked language model",
                    where=self.saved.folder,
                    why="it has an encoder only"
                    if self.saved.head == "encoder"
                    else f"its head is {self.saved.head}",
                    fix="give the pretrained model",
                )
            model.load_state_dict(self.saved.model.state_dict())
        return model

    def with_head(self, head: Head, num_labels: int) -> nn.Module:
        """A model with a new head on the encoder, on the CPU."""
        model = build_model(self.config, head, num_labels)
        if self.saved is not None:
            encoder = cast(nn.Module, self.saved.model.encoder)
            cast(nn.Module, model.encoder).load_state_dict(encoder.state_dict())
        return model

    def save(
        self,
        folder: Path,
        model: nn.Module | Mapping[str, Tensor],
        head: Head,
        labels: Sequence[str] = (),
        training: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the trained model to ``folder`` as a model folder; arguments as for ``save_model``."""
        save_model(
            folder,
            model,
            model_name=self.model_name,
            config=self.config,
            head=head,
            tokenizer_name=self.tokenizer_name,
            tokenizer=self.tokenizer,
            labels=labels,
            training=training,
        )


def _changed(source: ModelSource, **options: object) -> ModelConfig:
    """The config with other options; None keeps its own."""
    given = {name: value for name, value in options.items() if value is not None}
    names = {field.name for field in dataclasses.fields(cast(Any, source.config))}
    for name in given.keys() - names:
        where = f"model {source.model_name}"
        raise CmgemsError(f"no `{name}` to choose", where=where, fix="leave it out, or use another model")
    return cast(ModelConfig, dataclasses.replace(cast(Any, source.config), **given))
