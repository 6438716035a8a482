"""Published Hugging Face checkpoints as our models: the inverse of ``cmgems.export.huggingface``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from cmgems.download.hub import is_hub_name
from cmgems.errors import CheckpointError, CmgemsError, few
from cmgems.export.from_hub import load_checkpoint
from cmgems.export.state import check_numbers, is_padded, settle_decoder, unwrap, without_spare_rows
from cmgems.export.tensors import read_tensors
from cmgems.export.vocabulary import read_tokenizer
from cmgems.files import atomic_folder, check_new
from cmgems.models import MODELS, Head, ModelConfig, PublishedModel, SavedModel, fit_to_tokenizer
from cmgems.models.base import UNLABELLED
from cmgems.models.saved import build_with_weights, save_model
from cmgems.tokenization import Tokenizer

LOSSES: dict[str, Head] = {
    "single_label_classification": "classification",
    "multi_label_classification": "multi_label",
    "regression": "regression",
}
# The ends of the names of the classes that our models compute the same as.
CLASSES = ("Model", "ForMaskedLM", "ForPreTraining", "ForSequenceClassification", "ForTokenClassification")


def read_huggingface(folder: str | Path, tokenizer_name: str | None = None) -> SavedModel:
    """Read a checkpoint of any published family, on the CPU, in evaluation mode.

    Args:
        folder: ``config.json``, the weights (safetensors, or ``.bin`` read without running code; in one file or shards)
            and the vocabulary. Weights of an encoder alone give a model with the head "encoder".
        tokenizer_name: A registered tokenizer; None finds the one whose vocabulary is the folder's.

    Raises:
        CheckpointError: if a file is missing or damaged; the family or a tensor is unknown; a setting, a tensor or the
            vocabulary means something else here; or a tensor is missing, of another shape or not finite.
        CmgemsError: if no tokenizer has the folder's vocabulary.
    """
    folder = Path(folder)
    info = _read_json(folder / "config.json")
    with _located(folder / "config.json"):
        config, classes = _read_config(info), _classes(info)
    name, tokenizer = read_tokenizer(folder, tokenizer_name)
    tensors, unread = read_tensors(folder)
    notes = [f"not read, as in transformers: {few(unread)}"] if unread else []
    tensors = unwrap(tensors, config.encoder_prefix, folder)
    with _located(folder):
        state = config.from_huggingface(tensors)
        settle_decoder(config, info, tensors, state)
    head = _head(folder / "config.json", classes, info.get("problem_type"), state)
    labels = [] if head in UNLABELLED else _labels(folder / "config.json", info, state)
    notes += _without_pooler(state, head)
    notes += check_numbers(state, folder)
    notes += without_spare_rows(state, config.vocab_size, tokenizer.vocab_size)
    config = _fit(config, name, tokenizer, folder)
    if head == "encoder":
        notes.append("it has an encoder without a head: it makes vectors, and can be fine-tuned")
    return SavedModel(
        model=build_with_weights(config, head, len(labels), state, where=folder),
        model_name=_nearest_preset(config, tokenizer),
        config=config,
        head=head,
        tokenizer_name=name,
        tokenizer=tokenizer,
        labels=labels,
        training={"imported from": folder.resolve().name},
        folder=folder,
        notes=tuple(notes),
    )


def import_huggingface(source: str | Path, out: Path, tokenizer_name: str | None = None) -> SavedModel:
    """Write a published checkpoint as the new model folder ``out``, whole or not at all.

    Args:
        source: A folder as for ``read_huggingface``, or "owner/name" on the Hugging Face Hub, if no such path is there.
        out: The folder to make.
        tokenizer_name: As for ``read_huggingface``.

    Returns:
        The model.

    Raises:
        CmgemsError: if ``out`` exists or cannot be written; and as ``read_huggingface``.
        DataError: if it is not on the hub, or cannot be loaded.
    """
    check_new(out)
    from_hub = is_hub_name(str(source))
    saved = read_huggingface(load_checkpoint(str(source)) if from_hub else source, tokenizer_name)
    if from_hub:
        saved.training["imported from"] = str(source)
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
    if not path.is_file():
        inner = [found.parent.name for found in path.parent.glob(f"checkpoint-*/{path.name}")]
        why = f"there are {few(inner)}" if inner else ""
        fix = "give one of them" if inner else "give a Hugging Face folder"
        raise CheckpointError(f"no {path.name}", where=path.parent, why=why, fix=fix)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError("cannot read", where=path, why=str(error), fix="download it again") from error
    if not isinstance(content, dict):
        raise CheckpointError("not a JSON object", where=path, fix="download it again")
    return content


@contextmanager
def _located(place: Path) -> Iterator[None]:
    """Errors about a checkpoint say in which file or folder."""
    try:
        yield
    except CheckpointError as error:
        where = f"{place}, {error.where}" if error.where else place
        raise CheckpointError(error.what, where=where, why=error.why, fix=error.fix) from error


def _presets() -> dict[str, PublishedModel]:
    found = {name: MODELS.get(name) for name in MODELS.names()}
    return {name: preset for name, preset in found.items() if isinstance(preset, PublishedModel)}


def _read_config(info: Mapping[str, Any]) -> PublishedModel:
    for kind in dict.fromkeys(type(preset) for preset in _presets().values()):
        try:
            config = kind.read_huggingface_config(info)
        except (KeyError, TypeError) as error:
            raise CheckpointError("incomplete config", why=f"no {error}", fix="download it again") from error
        if config is not None:
            return config
    raise CheckpointError(
        "unknown model family",
        why=f"its model_type is {info.get('model_type')!r}",
        fix="give a DNABERT or other BERT, a DNABERT-2 or a Nucleotide Transformer v1 or v2",
    )


def _nearest_preset(config: PublishedModel, tokenizer: Tokenizer) -> str:
    """The name of the registered model of this family that the config equals for this tokenizer, else of the first."""
    family = {name: preset for name, preset in _presets().items() if type(preset) is type(config)}
    equal = [name for name, preset in family.items() if fit_to_tokenizer(preset, tokenizer) == config]
    return (equal or list(family))[0]


def _fit(config: PublishedModel, name: str, tokenizer: Tokenizer, folder: Path) -> PublishedModel:
    """The config with as many rows as the tokenizer has tokens.

    Raises:
        CheckpointError: if it has fewer, or more than a padded vocabulary; or computes with the id of another token.
    """
    rows, tokens = config.vocab_size, tokenizer.vocab_size
    if rows != tokens and not is_padded(rows, tokens):
        raise CheckpointError(
            "wrong vocabulary size",
            where=folder,
            why=f"the model has {rows} tokens, tokenizer {name!r} {tokens}",
            fix="give the model's own with --tokenizer",
        )
    resized = cast(PublishedModel, dataclasses.replace(cast(Any, config), vocab_size=tokens))
    # ESM with learned positions counts by these ids; nothing else is computed with them.
    if hasattr(config, "mask_id") and resized != fit_to_tokenizer(resized, tokenizer):
        raise CheckpointError(
            "other special tokens",
            where=folder / "config.json",
            why=f"pad_token_id and mask_token_id are not those of tokenizer {name!r}: "
            f"{tokenizer.pad_id} and {tokenizer.mask_id}",
            fix="give the model's own tokenizer with --tokenizer",
        )
    return resized


def _classes(info: Mapping[str, Any]) -> list[str]:
    """The names of the classes that read the checkpoint; [] if the config does not say.

    Raises:
        CheckpointError: if none of them computes what a model here does.
    """
    classes = [str(name) for name in info.get("architectures") or ()]
    if classes and not any(name.endswith(CLASSES) for name in classes):
        fix = "save its encoder alone with save_pretrained(), and import that"
        raise CheckpointError("another model", why=f"its class is {few(classes)}", fix=fix)
    return classes


def _head(path: Path, classes: Sequence[str], problem: str | None, state: Mapping[str, Tensor]) -> Head:
    """What the tensors under our names, and ``config.json``, say that the outputs are."""
    has_outputs = any(key.startswith(("head.output.", "head.projection.")) for key in state)
    if "head.bias" in state or (not has_outputs and any(key.startswith("head.dense.") for key in state)):
        return "masked_lm"
    if not has_outputs:
        return "encoder"
    of_tokens = [name.endswith("ForTokenClassification") for name in classes]
    pooled = any(key.startswith("head.pooler.") for key in state)
    if any(of_tokens) and (all(of_tokens) or not pooled):  # published configs name several classes
        return "token_classification"
    if problem is None:  # as in transformers
        return "regression" if _outputs(state) == 1 else "classification"
    if problem not in LOSSES:
        fix = f"known are {', '.join(LOSSES)}"
        raise CheckpointError("another model", where=path, why=f"problem_type is {problem!r}", fix=fix)
    return LOSSES[problem]


def _without_pooler(state: dict[str, Tensor], head: Head) -> list[str]:
    """Take BERT's pooler out where the head does not read it, and say so: every BERT encoder may bring one."""
    pooler = [key for key in state if key.startswith("head.pooler.")]
    if not pooler or head not in (*UNLABELLED, "token_classification"):
        return []
    for key in pooler:
        del state[key]
    return ["the pooler is left out: only the head of a sequence classifier reads it"]


def _labels(path: Path, info: Mapping[str, Any], state: Mapping[str, Tensor]) -> list[str]:
    outputs, names = _outputs(state), info.get("id2label")
    if names is None:
        return [f"LABEL_{index}" for index in range(outputs)]
    if not isinstance(names, dict) or names.keys() != {str(index) for index in range(outputs)}:
        raise CheckpointError(
            "labels and outputs differ",
            where=path,
            why=f"the model has {outputs} outputs, id2label names {few([str(name) for name in names])}",
            fix="give id2label a name for each, numbered from 0",
        )
    return [str(names[str(index)]) for index in range(outputs)]


def _outputs(state: Mapping[str, Tensor]) -> int:
    return next(
        len(tensor)
        for key, tensor in state.items()
        if key in ("head.output.weight", "head.projection.weight")
    )
