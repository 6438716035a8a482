"""Settings of a fine-tuning run as ``key=value`` overrides of the finetune recipe's config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cmgems.config import Component, config_dict
from cmgems.errors import CmgemsError
from cmgems.models import MODELS
from cmgems.models.lora import LoraConfig
from cmgems.models.saved import find_model_folder
from cmgems.registry import did_you_mean


@dataclass(frozen=True)
class DataSettings:
    """Which columns hold the labels, and where sequences are cut.

    Attributes:
        labels: Columns of the labels.
        max_tokens: Rows longer than this are cut.
    """

    labels: tuple[str, ...] | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class OptimSettings:
    """Optimizer and schedule, as in the finetune recipe's section ``optim``."""

    lr: float | None = None
    warmup: float | None = None
    schedule: Literal["linear", "cosine", "constant"] | None = None
    layer_decay: float | None = None
    weight_decay: float | None = None
    clip: float | None = None


@dataclass(frozen=True)
class Settings:
    """How every data set is fine-tuned on.

    Attributes:
        recipe: The finetune recipe, or an edited copy of it (a .py file).
        epochs, max_steps, batch_size, dropout, data, optim, lora: Keys of that recipe; None leaves what the benchmark,
            or the recipe, says.
    """

    recipe: str = "finetune"
    epochs: int | None = None
    max_steps: int | None = None
    batch_size: int | None = None
    dropout: float | None = None
    data: DataSettings = field(default_factory=DataSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    lora: LoraConfig | None = None

    def overrides(self) -> list[str]:
        """``key=value`` for the recipe."""
        return [text for text in as_overrides(self) if not text.startswith("recipe=")]


def as_overrides(section: object, prefix: str = "") -> list[str]:
    """``key=value`` for every value of a config section that is not None, nested keys dotted.

    Of a component None is an option too: its default may be another.
    """
    name = f"{prefix}." if prefix else ""
    if isinstance(section, Component):
        values: Mapping[str, Any] = {"name": section.name, **section.options}
    else:
        values = {key: value for key, value in _flat(config_dict(section)) if value is not None}
    return [f"{name}{key}={_text(value)}" for key, value in _flat(values)]


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", found) for inner, found in _flat(value))
        else:
            yield key, value


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return f"[{','.join(value)}]" if isinstance(value, list) else str(value)


def source_overrides(model: str, tokenizer: Component) -> list[str]:
    """What points the finetune recipe at ``model``.

    Args:
        model: A run, checkpoint or model folder, or the name of a registered model to start from random weights.
        tokenizer: That of a registered model; a folder brings its own.

    Raises:
        CmgemsError: if it is neither.
        CheckpointError: if the folder holds no model.
    """
    path = Path(model).expanduser()
    if path.exists():
        # The very folder: a run that goes on has another later, whose scores must not mix with these.
        return [f"model={find_model_folder(path.absolute())}"]
    if model in MODELS.names():
        return [f"model={model}", *as_overrides(tokenizer, "tokenizer")]
    raise CmgemsError(
        f"no model {model!r}",
        where="model",
        why="it is neither a folder nor a registered model",
        fix=did_you_mean(model, MODELS.names()),
    )
