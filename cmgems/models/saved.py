"""A *model folder*: ``model.safetensors`` and ``model.json``, everything needed to use a trained model.

``model.json`` names the registered model and tokenizer with all their fields, so loading needs no code from
the folder. It also has the weights' sha256, since a flipped bit in a safetensors file goes unnoticed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import cmgems
from cmgems.config import Component, component, load_config
from cmgems.errors import CheckpointError, CmgemsError, ConfigError, few
from cmgems.files import is_there, sha256_of, write_bytes, write_json
from cmgems.models.base import MODELS, UNLABELLED, Head, ModelConfig, build_model
from cmgems.runs.layout import BEST, CHECKPOINTS, FINAL, INFO_FILE, STEP_PREFIX, WEIGHTS_FILE
from cmgems.runs.reader import RunReader
from cmgems.tokenization import TOKENIZERS, Tokenizer

FORMAT_VERSION = 1
ANOTHER_MODEL = "the checkpoint is of another model"
INFO_TYPES = {"model": dict, "head": str, "labels": list, "tokenizer": dict, "training": dict, "sha256": str}


@dataclass(frozen=True)
class SavedModel:
    """A model read from a model folder.

    Args:
        model: The model, on the CPU, in evaluation mode.
        model_name: Name of the registered config it was made from.
        config: That config with every field as saved.
        head: Which head the model has.
        tokenizer_name: Name of the registered tokenizer.
        tokenizer: The tokenizer the model was trained with.
        labels: Names of the outputs, classes or what regression predicts, in their order; empty for a masked LM and
            an encoder without a head.
        training: How it was trained (steps, strategy, data ...), for model cards.
        folder: The model folder.
        notes: What reading it left out or changed, a sentence each.
    """

    model: nn.Module
    model_name: str
    config: ModelConfig
    head: Head
    tokenizer_name: str
    tokenizer: Tokenizer
    labels: list[str]
    training: dict[str, Any]
    folder: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Components:
    """What ``model.json`` names."""

    model: Component = component(MODELS, "logo")
    tokenizer: Component = component(TOKENIZERS, "kmer6")


def save_model(
    folder: Path,
    model: nn.Module | Mapping[str, Tensor],
    *,
    model_name: str,
    config: ModelConfig,
    head: Head,
    tokenizer_name: str,
    tokenizer: Tokenizer,
    labels: Sequence[str] | None = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder's two files into ``folder``; the caller makes the folder atomic.

    Args:
        folder: An existing folder.
        model: The model itself, its ``torch.compile`` wrapper, or its tensors by name; not DDP's or FSDP's.
        model_name: Name of the registered config that ``config`` came from.
        config: The model's config.
        head: Which head ``model`` has.
        tokenizer_name: Name of the registered tokenizer that ``tokenizer`` came from.
        tokenizer: The tokenizer the model was trained with.
        labels: Names of the outputs in their order, one each: classes, or for regression what it predicts. A
            masked LM and an encoder without a head have none.
        training: Facts for the model card, JSON values.

    Raises:
        CmgemsError: if the files cannot be written (DiskError if the disk is full).
        ValueError: if ``labels`` are missing, or given for outputs without names.
    """
    if (head in UNLABELLED) == bool(labels):
        raise ValueError(f"a model folder with head {head} cannot have labels {labels}")
    weights = safetensors.torch.save(state_of(model), metadata={"format": "pt"})
    write_bytes(folder / WEIGHTS_FILE, weights)
    write_json(
        folder / INFO_FILE,
        {
            "format": FORMAT_VERSION,
            "cmgems": cmgems.__version__,
            "family": config.family,
            "model": _describe(model_name, config),
            "head": head,
            "labels": list(labels or ()),
            "tokenizer": _describe(tokenizer_name, tokenizer),
            "training": dict(training or {}),
            "sha256": hashlib.sha256(weights).hexdigest(),
        },
    )


def state_of(model: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's tensors on the CPU, contiguous, without the ``_orig_mod.`` of compiled modules."""
    state = model.state_dict() if isinstance(model, nn.Module) else model
    return {
        name.replace("_orig_mod.", ""): tensor.detach().cpu().contiguous() for name, tensor in state.items()
    }


def find_model_folder(path: Path) -> Path:
    """The model folder that ``path`` means.

    Args:
        path: A model folder, a checkpoint, or a run folder: then its ``best``, ``final`` or newest checkpoint,
            whichever comes first.

    Raises:
        CheckpointError: if there is none, or the folder cannot be read.
    """
    if not is_there(path):
        raise CheckpointError("no such folder", where=path, fix="check the path")
    for folder in (path, *RunReader(path).model_folders):
        if is_there(folder / INFO_FILE):
            return folder
    is_huggingface = any((*path.glob("config.json"), *path.glob("checkpoint-*/config.json")))
    raise CheckpointError(
        "no model found",
        where=path,
        why=f"no {INFO_FILE} there, in {BEST}, in {FINAL} or in {CHECKPOINTS}/{STEP_PREFIX}*",
        fix="it is a Hugging Face folder: run `cmgems import` first"
        if is_huggingface
        else "give a run folder, a checkpoint or a model folder",
    )


def model_content(path: Path) -> str:
    """What tells one trained model from another: the sha256 of its description, which has that of the weights.

    Args:
        path: As for ``find_model_folder``.

    Raises:
        CheckpointError: if there is no model.
        OSError: if it cannot be read.
    """
    return sha256_of(find_model_folder(path) / INFO_FILE)


def load_model(path: Path) -> SavedModel:
    """Read a saved model, on the CPU, in evaluation mode. Leaves the global random state alone.

    Args:
        path: As for ``find_model_folder``.

    Raises:
        CheckpointError: if there is no model, a file is damaged, the weights are of another config, or the model or
            tokenizer is not registered (a plugin is not loaded).
    """
    folder = find_model_folder(Path(path))
    info = _read_info(folder / INFO_FILE)
    named = _read_components(info, folder / INFO_FILE)
    config, tokenizer = named.model.build(MODELS), named.tokenizer.build(TOKENIZERS)
    head, labels = cast(Head, info["head"]), list(info["labels"])
    state = _read_weights(folder / WEIGHTS_FILE, info["sha256"])
    model = build_with_weights(config, head, len(labels), state, where=folder / WEIGHTS_FILE)
    return SavedModel(
        model=model,
        model_name=named.model.name,
        config=config,
        head=head,
        tokenizer_name=named.tokenizer.name,
        tokenizer=tokenizer,
        labels=labels,
        training=dict(info["training"]),
        folder=folder,
    )


def build_with_weights(
    config: ModelConfig, head: Head, num_labels: int, state: Mapping[str, Tensor], where: object
) -> nn.Module:
    """The model with the weights ``state``, on the CPU, in evaluation mode. Leaves the global random state alone.

    Raises:
        CheckpointError: if ``state``, read from ``where``, is of another model.
    """
    if getattr(config, "layers", 0) > len(state):
        raise CheckpointError("missing tensors", where=where, why="fewer than layers", fix=ANOTHER_MODEL)
    try:
        with torch.device("meta"), _Undrawn():  # before a wrong size takes the machine's memory
            expected = build_model(config, head, num_labels).state_dict()
    except CmgemsError:
        raise
    except Exception as error:  # modules refuse impossible sizes in many ways
        why = str(error).partition("\n")[0]
        raise CheckpointError("impossible model", where=where, why=why, fix=ANOTHER_MODEL) from error
    check_state(state, expected, where=where)
    with torch.random.fork_rng(devices=[]), _Undrawn():
        model = build_model(config, head, num_labels)
    model.load_state_dict(state)
    return model.eval()


class _Undrawn(TorchFunctionMode):
    """Inside, new parameters are not drawn, since those of a file take their place: 100 M of them take a second, and on
    the meta device importing what draws there another. Buffers are: a file may not hold them."""

    RANDOM = frozenset(
        f"{name}_" for name in ("normal", "uniform", "trunc_normal", "kaiming_normal", "kaiming_uniform",
                                "xavier_normal", "xavier_uniform")
    )  # fmt: skip

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        drawn = args[0] if args else kwargs.get("tensor")
        if isinstance(drawn, nn.Parameter) and getattr(func, "__name__", "") in self.RANDOM:
            return drawn
        return func(*args, **kwargs)


def check_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: object) -> None:
    """Compare tensor names and shapes.

    Raises:
        CheckpointError: if any is missing, unknown or of another shape; the message names them.
    """
    if missing := expected.keys() - state.keys():
        raise CheckpointError("missing tensors", where=where, why=few(sorted(missing)), fix=ANOTHER_MODEL)
    if unknown := state.keys() - expected.keys():
        raise CheckpointError("unknown tensors", where=where, why=few(sorted(unknown)), fix=ANOTHER_MODEL)
    wrong = [
        f"{name} is {list(state[name].shape)}, not {list(tensor.shape)}"
        for name, tensor in expected.items()
        if state[name].shape != tensor.shape
    ]
    if wrong:
        raise CheckpointError("tensors of another shape", where=where, why=few(wrong), fix=ANOTHER_MODEL)


def _read_info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        complete = isinstance(info, dict) and all(isinstance(info.get(k), t) for k, t in INFO_TYPES.items())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            "cannot read", where=path, why=str(error), fix="use another checkpoint"
        ) from error
    if not complete or info["head"] not in get_args(Head):
        raise CheckpointError("not a model description", where=path, fix="use another checkpoint")
    if info.get("format") != FORMAT_VERSION:
        raise CheckpointError(
            "unknown format",
            where=path,
            why=f"version {info.get('format')}, written by cmgems {info.get('cmgems')}",
            fix="install that version of cmgems",
        )
    return cast(dict[str, Any], info)


def _describe(name: str, component: Any) -> dict[str, Any]:
    """A registered component as JSON: its name and every field that counts when two are compared."""
    fields = [f.name for f in dataclasses.fields(component) if f.init and f.compare]
    options = {name: getattr(component, name) for name in fields}
    return {"name": name, "options": options}


def _read_components(info: Mapping[str, Any], path: Path) -> _Components:
    """The inverse of ``_describe`` for both; their options are checked as a config's are."""
    try:
        given = {
            kind: {"name": info[kind]["name"], **info[kind]["options"]} for kind in ("model", "tokenizer")
        }
        return load_config(_Components, None, values=[given])
    except (KeyError, TypeError) as error:
        raise CheckpointError("not a model description", where=path, fix="use another checkpoint") from error
    except ConfigError as error:
        problem = error.problems[0]
        theirs = "use the cmgems that wrote it; if it needs a plugin, load that with --plugin"
        fix = f"{problem.fix}; {theirs}" if problem.fix else theirs
        raise CheckpointError(
            problem.what, where=f"{path} ({problem.where})", why=problem.why, fix=fix
        ) from error


def _read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise CheckpointError("cannot read", where=path, why=why, fix="use another checkpoint") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(
            "damaged weights",
            where=path,
            why=f"the sha256 is not the one in {INFO_FILE}",
            fix="use another checkpoint",
        )
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise CheckpointError("damaged weights", where=path, why=str(error)) from error
