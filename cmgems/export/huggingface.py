"""Saved models as folders of plain Hugging Face transformers: no remote code, no missing or unexpected keys.

The tensor names live beside each model family, one table for both directions (``cmgems/models``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from cmgems.errors import CmgemsError
from cmgems.export.model_card import model_card
from cmgems.files import atomic_folder, write_bytes, write_json, write_text
from cmgems.models import HuggingFaceModel, ModelConfig, PublishedNames, SavedModel
from cmgems.models.saved import state_of
from cmgems.tokenization import StockTokenizer, write_stock


def export_huggingface(saved: SavedModel, out: Path) -> None:
    """Write ``saved`` to the new folder ``out``: weights, config, stock tokenizer and model card.

    ``AutoTokenizer``, ``AutoModelForMaskedLM`` or ``AutoModelForSequenceClassification`` and ``pipeline``
    load it without cmgems installed.

    Raises:
        CmgemsError: if ``out`` exists, cannot be written, or transformers has no class for the model.
    """
    hooks, tokenizer = _hooks(saved.config), saved.tokenizer
    if not isinstance(tokenizer, StockTokenizer):
        raise CmgemsError(
            "no Hugging Face tokenizer",
            where=f"tokenizer {saved.tokenizer_name!r}",
            fix="load the model folder with cmgems.models.load_model instead",
        )
    if out.exists():
        raise CmgemsError("output folder in use", where=out, fix="choose a new folder or remove this one")
    state = hooks.to_huggingface(state_of(saved.model))
    with atomic_folder(out) as folder:
        write_bytes(folder / "model.safetensors", safetensors.torch.save(state, metadata={"format": "pt"}))
        write_json(folder / "config.json", hooks.huggingface_config(saved.head) | _labels(saved.labels))
        write_stock(tokenizer, folder, saved.config.max_positions)
        write_text(folder / "README.md", model_card(saved))


def import_huggingface_state(config: ModelConfig, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a Hugging Face checkpoint under our names, values untouched.

    Args:
        config: The config of the model they are for.
        state: The checkpoint's tensors; may hold several heads.

    Raises:
        CmgemsError: if no checkpoints of the family are published, or a tensor is unknown (CheckpointError).
    """
    if not isinstance(config, PublishedNames):
        raise CmgemsError("no published checkpoints", where=f"model family {config.family!r}")
    return config.from_huggingface(state)


def _hooks(config: ModelConfig) -> HuggingFaceModel:
    if not isinstance(config, HuggingFaceModel):
        raise CmgemsError(
            "no Hugging Face class",
            where=f"model family {config.family!r}",
            why="plain transformers cannot hold this model",
            fix="load the model folder with cmgems.models.load_model instead",
        )
    return config


def _labels(labels: list[str]) -> dict[str, Any]:
    if not labels:
        return {}
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }
