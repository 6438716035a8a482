"""Reading the weights of a Hugging Face folder; never runs code from it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from cmgems.errors import CheckpointError

FORMATS = ("model.safetensors", "pytorch_model.bin")


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors, from safetensors files if there are any, else from ``.bin`` files read with ``weights_only``.

    Raises:
        CheckpointError: if there are none, a file is damaged or incomplete, or a pickle has more than tensors.
    """
    for name in FORMATS:
        index = folder / f"{name}.index.json"
        if index.is_file():
            tensors: dict[str, Tensor] = {}
            for shard in _shards(index):
                tensors |= _read(folder / shard)
            return tensors
        if (folder / name).is_file():
            return _read(folder / name)
    raise CheckpointError(
        "no weights",
        where=folder,
        why=f"neither {FORMATS[0]} nor {FORMATS[1]} is there",
        fix="check the path",
    )


def _shards(index: Path) -> list[str]:
    try:
        return sorted(
            {str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            "damaged index", where=index, why=str(error), fix="download it again"
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
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
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise CheckpointError("no state dict", where=path, fix="give the weights of a Hugging Face model")
    return dict(tensors)
