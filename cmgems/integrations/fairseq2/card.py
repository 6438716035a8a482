"""Asset cards of our models: ``python -m cmgems.integrations.fairseq2.card runs/logo my_logo > cards/my_logo.yaml``.

With ``common.assets.extra_paths: [cards]`` the card's name is then a model of fairseq2, and a tokenizer.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, cast

import yaml

from cmgems.config import config_dict
from cmgems.errors import CmgemsError
from cmgems.integrations.fairseq2 import TOKENIZER_FAMILY
from cmgems.integrations.fairseq2.models import (
    BUILT_IN,
    CLASSIFIER,
    PLUGIN,
)
from cmgems.models import SavedModel, load_model
from cmgems.plugins import load_plugins
from cmgems.runs.layout import WEIGHTS_FILE


def card_of(folder: Path, name: str) -> dict[str, Any]:
    """The card of a model, for fairseq2's ``model.name`` and ``tokenizer.name``.

    Args:
        folder: A run folder, checkpoint or model folder.
        name: The card's name.

    Raises:
        CheckpointError: if there is no model, or it is damaged.
        CmgemsError: if it is an encoder without a head, which fairseq2 cannot train.
    """
    saved = load_model(folder)
    family, config = _described(saved)
    weights = (saved.folder / WEIGHTS_FILE).resolve()
    tokenizer = {"name": saved.tokenizer_name, "options": _fields(saved.tokenizer)}
    return {
        "name": name,
        "model_family": family,
        "model_config": config,
        "checkpoint": str(weights),
        "tokenizer_family": TOKENIZER_FAMILY,
        "tokenizer_config": tokenizer,
        "tokenizer": str(weights),
    }


def _described(saved: SavedModel) -> tuple[str, dict[str, Any]]:
    """The model's family and its config there."""
    own = _fields(saved.config)
    if saved.head == "encoder":
        raise CmgemsError(
            "an encoder without a head", where=saved.folder, fix="fine-tune it with `cmgems run finetune`"
        )
    if saved.head != "masked_lm":
        head = {"head": saved.head, "num_labels": len(saved.labels)}
        return CLASSIFIER, {"name": saved.model_name, "options": own, **head}
    for family, kind in BUILT_IN.items():
        if type(saved.config) is kind:
            return family, own
    return PLUGIN, {"name": saved.model_name, "options": own}


def _fields(component: Any) -> dict[str, Any]:
    """The fields of a registered component that count when two are compared."""
    fields = {
        field.name for field in dataclasses.fields(cast(Any, component)) if field.init and field.compare
    }
    return {name: value for name, value in config_dict(component).items() if name in fields}


def main() -> None:
    """Print the card of a folder."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m cmgems.integrations.fairseq2.card FOLDER NAME")
    try:
        load_plugins()
        card = card_of(Path(sys.argv[1]), sys.argv[2])
    except CmgemsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(yaml.safe_dump(card, sort_keys=False), end="")


if __name__ == "__main__":
    main()
