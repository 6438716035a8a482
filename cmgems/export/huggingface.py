"""Saved models as Hugging Face folders: published tensor names, config, tokenizer and model card.

Where plain transformers has a class for the family, it loads the folder without remote code and without missing or
unexpected keys. Each model family's file (``cmgems/models``) has the table of tensor names, for both directions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch

from cmgems.errors import CmgemsError
from cmgems.export.model_card import model_card
from cmgems.files import atomic_folder, check_new, write_bytes, write_json, write_text
from cmgems.models import PublishedModel, SavedModel
from cmgems.models.published import reads_as_published
from cmgems.models.saved import state_of
from cmgems.tokenization import StockTokenizer, write_stock


def export_huggingface(saved: SavedModel, out: Path) -> None:
    """Write ``saved`` to the new folder ``out``: weights, config, stock tokenizer and model card.

    If transformers has a class for the family (``plain_transformers``), its Auto classes and ``pipeline`` load it; else
    ``read_huggingface`` does, and code for the published checkpoints finds their names.

    Raises:
        CmgemsError: if ``out`` exists or cannot be written, or the model or its tokenizer has no such format.
    """
    config, tokenizer = saved.config, saved.tokenizer
    if not isinstance(config, PublishedModel):
        raise CmgemsError(
            "no Hugging Face format",
            where=f"model family {config.family!r}",
            why="no checkpoints of it are published",
            fix="load the model folder with cmgems.models.load_model instead",
        )
    if not isinstance(tokenizer, StockTokenizer):
        raise CmgemsError(
            "no Hugging Face tokenizer",
            where=f"tokenizer {saved.tokenizer_name!r}",
            fix="load the model folder with cmgems.models.load_model instead",
        )
    if not reads_as_published(config, saved.head):
        raise CmgemsError(
            "no Hugging Face format for the mean of tokens",
            where=saved.folder,
            why="the classes of transformers read the first token only, and would give other scores",
            fix="fine-tune with pool=cls, or use the model folder itself with cmgems.load",
        )
    check_new(out)
    state = config.to_huggingface(state_of(saved.model))
    with atomic_folder(out) as folder:
        write_bytes(folder / "model.safetensors", safetensors.torch.save(state, metadata={"format": "pt"}))
        write_json(folder / "config.json", config.huggingface_config(saved.head) | _labels(saved.labels))
        write_stock(tokenizer, folder, saved.config.max_positions)
        write_text(folder / "README.md", model_card(saved))


def _labels(labels: list[str]) -> dict[str, Any]:
    if not labels:
        return {}
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }
