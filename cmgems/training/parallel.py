"""How several processes share a model: each holds all of it, or each holds a part of every tensor (FSDP2).

Both sum the same gradients, so they train alike up to the order of float32 sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from cmgems.distributed import World
from cmgems.training.compute import Compute, expect_shapes

# Weights, gradients and AdamW's two moments take 16 bytes a parameter in fp32: 16 GB, a fifth of a large GPU.
AUTO_SHARD_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class ParallelConfig:
    """How the processes of a run (`cmgems run --nproc-per-node`) share the model.

    Attributes:
        mode: `replicate` keeps the whole model in each; `shard` splits weights, gradients and moments among them,
            which takes less memory and more communication; `auto` shards models of more than a billion parameters.
            One process never shards. A run may go on with another mode or number of processes.
    """

    free: ClassVar[bool] = True  # a run may go on with others

    mode: Literal["auto", "replicate", "shard"] = "auto"

    def shards(self, model: nn.Module, world: World) -> bool:
        """Whether ``model`` is to be split among the processes of ``world``."""
        if world.size == 1 or self.mode == "replicate":
            return False
        return self.mode == "shard" or sum(p.numel() for p in model.parameters()) > AUTO_SHARD_PARAMETERS


def prepare_model(
    model: nn.Module, config: ParallelConfig, compute: Compute, world: World, loss: nn.Module | None = None
) -> nn.Module:
    """Make ``model`` train as ``config`` and ``compute`` say: split among the ranks, recomputed, compiled.

    Each rank draws its own dropout.

    Call it on every rank, once the model has its initial weights and is on its device, and before the optimizer
    is made: the parameters of a sharded model are replaced.

    Args:
        model: Split in place.
        config: Whether to.
        compute: Device, whether to compile, and whether to recompute layers.
        world: The ranks.
        loss: What training calls, if not ``model`` itself but a module around it.

    Returns:
        The module to call in training; it shares ``model``'s parameters.
    """
    compute.recompute_layers(model)
    called = model if loss is None else loss
    if not world.is_main:  # the weights were drawn alike everywhere; the rows are not the same
        torch.manual_seed((torch.initial_seed() + world.rank) % 2**64)
    if not config.shards(model, world):
        return compute.compile(called)
    shard(model, compute, world)
    return called


def shard(model: Any, compute: Compute, world: World) -> None:
    """Split every encoder layer, and in one more unit what is left: embeddings, last norm and head.

    The embedding to which a masked LM ties its decoder is used by the encoder and by the model's own ``forward``. It
    belongs to the outermost unit, which stays gathered from the first of these uses to the backward pass.

    Precision is autocast's, as in a replicated model: weights travel in fp32, twice the bytes of FSDP's own bf16
    policy, but LayerNorms and reductions see the same numbers in either mode.
    """
    # Half a second to import, which most commands and runs have no use for.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    expect_shapes()
    mesh = init_device_mesh(compute.device.type, (world.size,))
    for layer in getattr(model.encoder, "layers", ()):
        if compute.compiled:
            # Before sharding, and by layer: FSDP's hooks would break the one graph of a whole model.
            layer.compile(dynamic=False, fullgraph=True)
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # The loss is divided by the global count already: sum. Only a plain sum is something gloo can do too.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def is_sharded_model(model: nn.Module) -> bool:
    """Whether ``prepare_model`` has split it."""
    return any(hasattr(parameter, "device_mesh") for parameter in model.parameters())  # DTensors


def whole_weights(model: nn.Module, world: World) -> dict[str, torch.Tensor]:
    """The model's tensors on rank 0, gathered and in main memory; empty on other ranks. Every rank calls it."""
    weights = {}
    for name, tensor in model.state_dict().items():
        whole = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
        if world.is_main:
            weights[name] = whole.detach().cpu().contiguous()
    return weights
