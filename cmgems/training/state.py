"""What a checkpoint holds besides the model folder: optimizer moments, random states, and the recipe's own JSON.

The weights come back from the model folder. Some are there in another form than the trained one: adapters of LoRA are
merged, the last layer of a regression is scaled. Their trained form is saved here, to the bit. Weights that are not
trained are not restored: a resumed run has them from its start, and a checksum tells whether that is the same.

Tensors go by names: ``model.encoder.word.weight``, ``optimizer.encoder.word.weight.exp_avg``, ``rng.cpu.0`` (the
state of rank 0). Whole files and shards use the same names, so a run can continue from either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cmgems.distributed import World
from cmgems.errors import CheckpointError
from cmgems.files import write_bytes, write_text
from cmgems.models.saved import check_state
from cmgems.runs.layout import TRAINING_FILE, TRAINING_JSON, WEIGHTS_FILE

MODEL, OPTIMIZER = "model.", "optimizer."


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Trained parameters and buffers under their checkpoint names; DTensors where the model is sharded."""
    frozen = _frozen(model)
    state = model.state_dict()
    return {f"{MODEL}{name}": tensor.detach() for name, tensor in state.items() if name not in frozen}


def _frozen(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if not p.requires_grad}


def frozen_sha256(model: nn.Module) -> str | None:
    """A checksum of the parameters that are not trained, None if all are."""
    digest, frozen = hashlib.sha256(), _frozen(model)
    for name, tensor in frozen.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest() if frozen else None


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state under its checkpoint names."""
    return {
        f"{OPTIMIZER}{name}.{key}": value.detach()
        for name, parameter in _parameters(model).items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def random_tensors(rank: int) -> dict[str, Tensor]:
    """This process' random states, which dropout draws from."""
    states = {f"rng.cpu.{rank}": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # a run on the CPU does not touch a GPU that is there
        states[f"rng.cuda.{rank}"] = torch.cuda.get_rng_state()
    return states


def gather_random_tensors(world: World) -> dict[str, Tensor]:
    """The random states of all ranks, on every rank."""
    gathered: dict[str, Tensor] = {}
    for name, state in random_tensors(world.rank).items():
        kind = name.rpartition(".")[0]
        gathered |= {f"{kind}.{rank}": other for rank, other in enumerate(world.gather(state))}
    return gathered


def _parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    # Not named_parameters(): after a validation a sharded model's root still shows gathered weights, and only its
    # state_dict puts back the sharded ones that the optimizer knows.
    state = model.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in state.items() if isinstance(tensor, nn.Parameter)}


def write_training_files(folder: Path, tensors: Mapping[str, Tensor], state: str) -> None:
    """Write ``training.safetensors`` and ``training.json`` (the text ``state``) into a checkpoint folder."""
    write_bytes(folder / TRAINING_FILE, save({name: t.cpu().contiguous() for name, t in tensors.items()}))
    write_text(folder / TRAINING_JSON, state)


def load_whole(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, rank: int) -> None:
    """Restore weights, optimizer and this rank's random state from whole files; the model may be sharded.

    Raises:
        CheckpointError: if the checkpoint is of another model.
    """
    restore_whole(folder, _read_whole(folder, model), model, optimizer, rank)


@torch.no_grad()
def load_weights(folder: Path, model: nn.Module) -> None:
    """Restore the weights alone from whole files, in the form in which they are trained.

    Raises:
        CheckpointError: if the checkpoint is of another model.
    """
    stored = {n: t for n, t in _read_whole(folder, model).items() if n.startswith(MODEL)}
    own = model_tensors(model)
    check_state(stored, own, where=folder)
    for name, target in own.items():
        target.copy_(stored[name])


def _read_whole(folder: Path, model: nn.Module) -> dict[str, Tensor]:
    frozen = _frozen(model)
    weights = {f"{MODEL}{n}": t for n, t in load_file(folder / WEIGHTS_FILE).items() if n not in frozen}
    return weights | load_file(folder / TRAINING_FILE)


def read_training_json(folder: Path) -> dict[str, Any]:
    """The recipe's own state."""
    state: dict[str, Any] = json.loads((folder / TRAINING_JSON).read_text())
    return state


@torch.no_grad()
def restore_whole(
    folder: Path,
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rank: int = 0,
) -> None:
    """Copy ``tensors``, read from ``folder``, to where ``targets`` says."""
    wanted: dict[str, Any] = targets(tensors, model, optimizer, rank, folder)
    for name, target in wanted.items():
        value = tensors[name]
        if hasattr(target, "device_mesh"):  # a DTensor: every rank has read the whole and keeps its part
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(value, target.device_mesh, target.placements, src_data_rank=None)
        target.copy_(value)
    set_random_state(wanted, rank)


def targets(
    stored: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rank: int,
    folder: Path,
) -> dict[str, Tensor]:
    """Where the tensors of a checkpoint belong: parameters, new optimizer state, and room for a random state.

    Args:
        stored: The checkpoint's tensors, or their shapes and dtypes as tensors on the meta device.
        model: Its parameters are targets if the checkpoint holds weights.
        optimizer: Receives new state of the stored shapes, sharded like its parameter.
        rank: Whose random state is wanted. A run with fewer ranks has none: dropout then starts with a new state.
        folder: The checkpoint, for error messages.

    Raises:
        CheckpointError: if names or shapes are another model's.
    """
    wanted = {name: torch.empty_like(t, device="cpu") for name, t in stored.items() if _is_random(name, rank)}
    if any(name.startswith(MODEL) for name in stored):
        own = model_tensors(model)
        check_state({name: t for name, t in stored.items() if name.startswith(MODEL)}, own, where=folder)
        wanted |= own
    parameters = _parameters(model)
    for name in stored:
        if not name.startswith(OPTIMIZER):
            continue
        parameter_name, _, key = name.removeprefix(OPTIMIZER).rpartition(".")
        parameter = parameters.get(parameter_name)
        if parameter is None:
            raise CheckpointError(
                f"optimizer state of an unknown tensor {parameter_name}", where=folder, fix="use another -o"
            )
        wanted[name] = _optimizer_target(stored[name], parameter, parameter_name, folder)
        optimizer.state[parameter][key] = wanted[name]
    return wanted


def _optimizer_target(stored: Tensor, parameter: Tensor, name: str, folder: Path) -> Tensor:
    if stored.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=stored.dtype, requires_grad=False)
    if stored.ndim:
        raise CheckpointError(
            f"optimizer state of another shape for {name}", where=folder, fix="use another -o"
        )
    # A count of steps; AdamW's fused kernel wants it beside the parameter.
    return torch.empty((), dtype=stored.dtype, device=parameter.device)


def _is_random(name: str, rank: int) -> bool:
    return name == f"rng.cpu.{rank}" or (name == f"rng.cuda.{rank}" and torch.cuda.is_available())


def set_random_state(tensors: Mapping[str, Tensor], rank: int) -> None:
    """Take over this rank's random state, if ``tensors`` holds one."""
    if (state := tensors.get(f"rng.cpu.{rank}")) is not None:
        torch.set_rng_state(state)
    if (state := tensors.get(f"rng.cuda.{rank}")) is not None:
        torch.cuda.set_rng_state(state)
