"""Published Hugging Face checkpoints as our models: the inverse of ``cmgems.export.huggingface``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.export.tensors import read_tensors
from cmgems.files import atomic_folder, check_new
from cmgems.models import MODELS, Head, ModelConfig, PublishedModel, SavedModel
from cmgems.models.saved import build_with_weights, save_model
from cmgems.tokenization import TOKENIZERS, BpeTokenizer, Tokenizer

LOSSES: dict[str, Head] = {"regression": "regression", "multi_label_classification": "multi_label"}


def read_huggingface(folder: str | Path, tokenizer_name: str | None = None) -> SavedModel:
    """Read a checkpoint of any published family, on the CPU, in evaluation mode.

    Args:
        folder: ``config.json``, the weights (safetensors, or ``.bin`` read without running code; in one file or shards)
            and the vocabulary.
        tokenizer_name: A registered tokenizer; None finds the one whose vocabulary is the folder's.

    Raises:
        CheckpointError: if a file is missing or damaged, the family or a tensor is unknown, a tensor is missing or of
            another shape, or the vocabulary is not of the model's size.
        CmgemsError: if no tokenizer has the folder's vocabulary.
    """
    folder = Path(folder)
    info = _read_json(folder / "config.json")
    preset, config = _read_config(folder / "config.json", info)
    name, tokenizer = _read_tokenizer(folder, tokenizer_name)
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            "wrong vocabulary size",
            where=folder,
            why=f"the model has {config.vocab_size} tokens, tokenizer {name!r} {tokenizer.vocab_size}",
            fix="give the model's own with --tokenizer",
        )
    state = import_huggingface_state(config, read_tensors(folder))
    head = _head(folder, info, state)
    labels = [] if head == "masked_lm" else _labels(info, state)
    if head == "masked_lm":  # BERT's masked language models come with the classifier's pooler
        state = {key: tensor for key, tensor in state.items() if not key.startswith("head.pooler.")}
    return SavedModel(
        model=build_with_weights(config, head, len(labels), state, where=folder),
        model_name=preset,
        config=config,
        head=head,
        tokenizer_name=name,
        tokenizer=tokenizer,
        labels=labels,
        training={"imported from": folder.resolve().name},
        folder=folder,
    )


def import_huggingface(folder: Path, out: Path, tokenizer_name: str | None = None) -> SavedModel:
    """Write a published checkpoint as the new model folder ``out``, whole or not at all.

    Args:
        folder: As for ``read_huggingface``.
        out: The folder to make.
        tokenizer_name: As for ``read_huggingface``.

    Returns:
        The model.

    Raises:
        CmgemsError: if ``out`` exists or cannot be written; and as ``read_huggingface``.
    """
    check_new(out)
    saved = read_huggingface(folder, tokenizer_name)
    with atomic_folder(out) as partial:
        save_model(
            partial,
            saved.model,
            model_name=saved.model_name,
            config=saved.config,
            head=saved.head,
            tokenizer_name=saved.tokenizer_name,
            tokenizer=saved.tokenizer,
            labels=saved.labels,
            training=saved.training,
        )
    return saved


def import_huggingface_state(config: ModelConfig, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a Hugging Face checkpoint under our names, values untouched.

    Args:
        config: The config of the model they are for.
        state: The checkpoint's tensors; may have several heads.

    Raises:
        CmgemsError: if no checkpoints of the family are published, or a tensor is unknown (CheckpointError).
    """
    if not isinstance(config, PublishedModel):
        raise CmgemsError("no published checkpoints", where=f"model family {config.family!r}")
    return config.from_huggingface(state)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            "cannot read", where=path, why=str(error), fix="give a Hugging Face folder"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError("not a JSON object", where=path, fix="give a Hugging Face folder")
    return content


def _read_config(path: Path, info: Mapping[str, Any]) -> tuple[str, ModelConfig]:
    """The registered name the config is nearest to, and the config itself."""
    presets = {name: MODELS.get(name) for name in MODELS.names()}
    kinds = {type(preset): preset for preset in presets.values() if isinstance(preset, PublishedModel)}
    for kind, preset in kinds.items():
        try:
            config = preset.read_huggingface_config(info)
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                "incomplete config", where=path, why=f"no {error}", fix="download it again"
            ) from error
        if config is not None:
            names = [name for name in presets if type(presets[name]) is kind]
            equal = [name for name in names if presets[name] == config]
            return (equal or names)[0], cast(ModelConfig, config)
    raise CheckpointError(
        "unknown model family",
        where=path,
        why=f"its model_type is {info.get('model_type')!r}",
        fix="give a DNABERT or other BERT, a DNABERT-2 or a Nucleotide Transformer v1 or v2",
    )


def _read_tokenizer(folder: Path, name: str | None) -> tuple[str, Tokenizer]:
    """The tokenizer called ``name``, or the one with the folder's vocabulary."""
    file = folder / "tokenizer.json"
    if name == "bpe":
        return name, BpeTokenizer(file)
    if name is not None:
        return name, TOKENIZERS.get(name)
    vocabulary = _vocabulary(folder)
    for known in TOKENIZERS.names():
        tokenizer = TOKENIZERS.get(known)
        if not isinstance(tokenizer, BpeTokenizer) and tokenizer.vocabulary() == vocabulary:
            return known, tokenizer
    if file.is_file():
        return "bpe", BpeTokenizer(file)
    raise CmgemsError(
        "no tokenizer",
        where=folder,
        why="neither tokenizer.json nor a vocab.txt of a registered tokenizer is there",
        fix=f"name it with --tokenizer: {', '.join(TOKENIZERS.names())}",
    )


def _vocabulary(folder: Path) -> list[str] | None:
    try:
        return (folder / "vocab.txt").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return None


def _head(folder: Path, info: Mapping[str, Any], state: Mapping[str, Tensor]) -> Head:
    if any(key.startswith("head.dense.") for key in state):
        return "masked_lm"
    if not any(key.startswith(("head.output.", "head.projection.")) for key in state):
        raise CheckpointError(
            "no head", where=folder, why="it has an encoder only", fix="give a masked LM or a classifier"
        )
    if any(str(name).endswith("ForTokenClassification") for name in info.get("architectures") or ()):
        return "token_classification"
    if info.get("problem_type") is None and _outputs(state) == 1:  # as in transformers
        return "regression"
    return LOSSES.get(str(info.get("problem_type")), "classification")


def _labels(info: Mapping[str, Any], state: Mapping[str, Tensor]) -> list[str]:
    names = info.get("id2label") or {}
    return [str(names.get(str(index), f"LABEL_{index}")) for index in range(_outputs(state))]


def _outputs(state: Mapping[str, Tensor]) -> int:
    return next(
        len(tensor)
        for key, tensor in state.items()
        if key in ("head.output.weight", "head.projection.weight")
    )
