"""Reading the weights of a Hugging Face folder; never runs code from it."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from cmgems.errors import CheckpointError, few
from cmgems.reading.kinds import LFS_POINTER

# In the order in which transformers looks for them.
FORMATS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# What else lies there in place of weights, and what to do about it.
OTHER_WEIGHTS = (
    (
        "adapter_model.*",
        "a LoRA adapter alone",
        "load it with its model, and save that after merge_and_unload()",
    ),
    ("checkpoint-*", "checkpoints of a training", "give one of them"),
    ("*.ckpt*", "a checkpoint of Lightning or TensorFlow", "save its model with save_pretrained()"),
    (
        "flax_model.msgpack",
        "weights of Flax",
        "load them with from_flax=True, and save with save_pretrained()",
    ),
    ("tf_model.h5", "weights of TensorFlow", "load them with from_tf=True, and save with save_pretrained()"),
    ("*.safetensors", "weights by another name", f"name them {FORMATS[0]}"),
    ("pytorch_model*.bin", "weights by another name", f"name them {FORMATS[2]}"),
    ("*model*.pt*", "weights by another name", f"name them {FORMATS[2]}"),
)
# Where training scripts put a model's weights among other things.
INNER = ("state_dict", "model_state_dict", "model")


def read_tensors(folder: Path) -> tuple[dict[str, Tensor], list[str]]:
    """All tensors of the weights that transformers would load, and the names of the other weights that lie there.

    Files in ``.bin`` are read with ``weights_only``.

    Raises:
        CheckpointError: if there are none, a file is damaged or incomplete, an index and its files differ, or a pickle
            has more than tensors.
    """
    found = [name for name in FORMATS if (folder / name).is_file()]
    if not found:
        raise _no_weights(folder)
    path = folder / found[0]
    if path.suffix == ".json":
        shards = _shards(path)
        tensors: dict[str, Tensor] = {}
        for shard, names in shards.items():
            tensors |= _read_shard(folder / shard, names, path)
        read = {found[0], *shards}
    else:
        tensors, read = _read(path), {found[0]}
    return tensors, sorted(_weights(folder) - read)


def _weights(folder: Path) -> set[str]:
    """The names of all files of weights."""
    patterns = ("*.safetensors", "pytorch_model*.bin", *FORMATS)
    return {path.name for pattern in patterns for path in folder.glob(pattern)}


def _no_weights(folder: Path) -> CheckpointError:
    for pattern, kind, fix in OTHER_WEIGHTS:
        if names := [path.name for path in folder.glob(pattern)]:
            return CheckpointError("no weights", where=folder, why=f"there is {kind}: {few(names)}", fix=fix)
    why = f"neither {FORMATS[0]} nor {FORMATS[2]} is there"
    return CheckpointError("no weights", where=folder, why=why, fix="check the path")


def _shards(index: Path) -> dict[str, list[str]]:
    """The tensors that each file must have."""
    try:
        content = json.loads(index.read_text(encoding="utf-8"), object_pairs_hook=_each_once)
        shards: dict[str, list[str]] = {}
        for tensor, shard in content["weight_map"].items():
            shards.setdefault(str(shard), []).append(tensor)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            "damaged index", where=index, why=str(error), fix="download it again"
        ) from error
    absent = [name for name in shards if not (index.parent / name).is_file()]
    if absent:
        why = f"the index names {few(absent)}"
        raise CheckpointError("missing files", where=index, why=why, fix="fetch them too")
    return dict(sorted(shards.items()))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise ValueError(f"{few(twice)} is there twice")
    return dict(pairs)


def _read_shard(path: Path, names: list[str], index: Path) -> dict[str, Tensor]:
    """The tensors of one of several files, exactly those that the index says."""
    tensors = _read(path)
    if differing := tensors.keys() ^ set(names):
        raise CheckpointError(
            "index and weights differ",
            where=path,
            why=f"{few(list(differing))} is only in one of it and {index.name}",
            fix="fetch all files of one version again",
        )
    return tensors


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with open(path, "rb") as handle:
            if handle.read(len(LFS_POINTER)) == LFS_POINTER:
                raise ValueError("it is a Git LFS pointer, fetch the file itself: git lfs pull")
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "not only tensors",
            where=path,
            why="it is damaged, or would run code when read",
            fix="ask for a safetensors file",
        ) from error
    except Exception as error:  # a damaged pickle may raise any, some without a message
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError("damaged weights", where=path, why=why, fix="download it again") from error
    tensors = next((content[key] for key in INNER if _is_state(_item(content, key))), content)
    if not _is_state(tensors):
        raise CheckpointError(
            "no state dict",
            where=path,
            why=f"it holds {few([str(key) for key in content])}" if isinstance(content, Mapping) else "",
            fix="save the state_dict of the model alone, or with save_pretrained()",
        )
    return dict(tensors)


def _item(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, Mapping) else None


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(tensor, Tensor) for tensor in content.values())
    )
