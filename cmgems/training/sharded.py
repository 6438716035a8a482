"""Checkpoints of sharded models, through torch.distributed.checkpoint (DCP).

Its storage in safetensors is used, not the default one: that keeps an index ``.metadata`` which is a pickle and would
run code from the file. Here the index is the JSON header of each file, so reading any file is safe.

DCP is imported where it is used: it takes half a second, and few runs are sharded.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cmgems.errors import disk_error
from cmgems.training.state import set_random_state, targets


def is_sharded(folder: Path) -> bool:
    """Whether a checkpoint folder holds shards."""
    return any(folder.glob("shard-*.safetensors"))


def write_shards(folder: Path | None, tensors: Mapping[str, Tensor], group: dist.ProcessGroup) -> None:
    """Write each rank's part of ``tensors`` into one folder; returns when all have. Every rank calls it.

    Args:
        folder: The folder, from rank 0, which makes it; None on the others.
        tensors: DTensors, of which each rank writes its part, and tensors, of which those that are alike everywhere
            are written once.
        group: For talking among the ranks, in main memory.

    Raises:
        CmgemsError: on every rank, if one cannot write.
    """
    from torch.distributed.checkpoint import state_dict_saver
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

    told = [str(folder)]
    dist.broadcast_object_list(told, src=0, group=group)
    writer = HuggingFaceStorageWriter(told[0], save_distributed=True)
    try:
        state_dict_saver.save(dict(tensors), storage_writer=writer, process_group=group)
    except CheckpointException as error:
        cause, _ = next(iter(error.failures.values()))
        if isinstance(cause, OSError):
            raise disk_error(cause, told[0]) from error
        raise cause from error


@torch.no_grad()
def load_shards(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, rank: int) -> None:
    """Restore weights, optimizer and this rank's random state; the model may be sharded otherwise or not at all.

    Raises:
        CheckpointError: if the checkpoint is of another model.
    """
    from torch.distributed.checkpoint import state_dict_loader
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    reader = HuggingFaceStorageReader(str(folder))
    found = reader.read_metadata().state_dict_metadata
    stored = {
        name: torch.empty(info.size, dtype=info.properties.dtype, device="meta")
        for name, info in found.items()
        if isinstance(info, TensorStorageMetadata)
    }
    wanted = targets(stored, model, optimizer, rank, folder)
    with warnings.catch_warnings():
        # Reading takes no agreement among ranks; DCP warns that it then assumes a single process.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        state_dict_loader.load(wanted, storage_reader=reader, no_dist=True)
    set_random_state(wanted, rank)
