"""How several processes share a model: each holds all of it, or each holds a part of every tensor (FSDP2).

Both sum the same gradients, so they train alike up to the order of float32 sums.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cmgems.distributed import World
from cmgems.training.compute import Compute, expect_shapes

# Weights, gradients and AdamW's two moments take 16 bytes a parameter in fp32: 16 GB, a fifth of a large GPU.
AUTO_SHARD_PARAMETERS = 1_000_000_000

Reduce = Literal["fp32", "bf16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class ParallelConfig:
    """How the processes of a run (`cmgems run --nproc-per-node`) share the model.

    Attributes:
        mode: `replicate` keeps the whole model in each; `shard` splits weights, gradients and moments among them,
            which takes less memory and more communication; `auto` shards models of more than a billion parameters.
            One process never shards. A run may go on with another mode or number of processes.
        reduce: In what precision gradients travel and are summed: `bf16` takes half the time, and rounds.
    """

    free: ClassVar[bool] = True  # a run may go on with others

    mode: Literal["auto", "replicate", "shard"] = "auto"
    reduce: Reduce = "fp32"

    def shards(self, model: nn.Module, world: World) -> bool:
        """Whether ``model`` is to be split among the processes of ``world``."""
        if world.size == 1 or self.mode == "replicate":
            return False
        return self.mode == "shard" or sum(p.numel() for p in model.parameters()) > AUTO_SHARD_PARAMETERS


def prepare_model(
    model: nn.Module,
    config: ParallelConfig,
    compute: Compute,
    world: World,
    around: Callable[[nn.Module], nn.Module] = lambda model: model,
) -> nn.Module:
    """Make ``model`` train as ``config`` and ``compute`` say: exchanged among the ranks, recomputed, compiled.

    Each rank draws its own dropout. One process compiles all that it calls; several compile layer by layer, so that
    the gradients of a layer travel while those of the layer below are computed.

    Call it on every rank, once the model has its initial weights and is on its device, and before the optimizer
    is made: the parameters of a sharded model are replaced.

    Args:
        model: Split in place.
        config: Whether to.
        compute: Device, whether to compile, and whether to recompute layers.
        world: The ranks.
        around: Makes what training calls from the model: a module whose ``model`` it is, such as ``MaskedLMLoss``.

    Returns:
        The module to call in training, in ``exchanging``; it shares ``model``'s parameters.
    """
    compute.recompute_layers(model)
    if world.size == 1:
        return compute.compile(around(model))
    if not world.is_main:  # the weights were drawn alike everywhere; the rows are not the same
        torch.manual_seed((torch.initial_seed() + world.rank) % 2**64)
    if compute.compiled:
        compile_layers(model)
    if config.shards(model, world):
        shard(model, compute, world, config.reduce)
        return around(model)
    return around(replicate(model, config.reduce))


def compile_layers(model: Any) -> None:
    """Compile every encoder layer by itself; before it is sharded, for FSDP's hooks would break a graph."""
    expect_shapes()
    for layer in getattr(model.encoder, "layers", ()):
        layer.compile(dynamic=False, fullgraph=True)


def exchanging(called: nn.Module, *, last: bool) -> AbstractContextManager[object]:
    """Around a pass of what ``prepare_model`` returned: the ranks sum gradients in the last one of a step only."""
    model: Any = getattr(called, "model", called)
    if hasattr(model, "set_requires_gradient_sync"):  # FSDP2's
        model.set_requires_gradient_sync(last)
    elif isinstance(model, DistributedDataParallel) and not last:
        return model.no_sync()
    return nullcontext()


def replicate(model: nn.Module, reduce: Reduce = "fp32") -> DistributedDataParallel:
    """Let the ranks sum gradients while the backward pass is under way.

    DDP would take their mean. It would also sort its buckets anew after the first step, and with more than two ranks
    the order of a sum changes its last bits: a resumed run would differ. It does not where it looks for parameters
    without a gradient, and a plugin's model may have some. (It then warns, from C++, where there are none.)
    """
    with warnings.catch_warnings():
        # From torch 2.13 on it has another name.
        warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
        wrapped = DistributedDataParallel(
            model, broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
        )
    # DDP looks at annotations, and does not know them as text.
    wrapped.register_comm_hook(DTYPES[reduce], lambda dtype, bucket: sum_bucket(dtype, bucket))
    return wrapped


def sum_bucket(dtype: torch.dtype, bucket: Any) -> torch.futures.Future[Tensor]:
    """A hook of DDP: the sum over all ranks of some gradients, which travel in ``dtype``."""
    gradients = bucket.buffer()
    sent: Any = dist.all_reduce(gradients.to(dtype), async_op=True)
    summed: torch.futures.Future[Tensor] = sent.get_future().then(
        lambda done: done.value()[0].to(gradients.dtype)
    )
    return summed


def shard(model: Any, compute: Compute, world: World, reduce: Reduce = "fp32") -> None:
    """Split every encoder layer, and in one more unit what is left: embeddings, last norm and head.

    The embedding to which a masked LM ties its decoder is used by the encoder and by the model's own ``forward``. It
    belongs to the outermost unit, which stays gathered from the first of these uses to the backward pass.

    Precision is autocast's, as in a replicated model: weights travel in fp32, twice the bytes of FSDP's own bf16
    policy, but LayerNorms see the same numbers in either mode.
    """
    # Half a second to import, which most commands and runs have no use for.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(compute.device.type, (world.size,))
    policy = MixedPrecisionPolicy(reduce_dtype=DTYPES[reduce])
    for layer in getattr(model.encoder, "layers", ()):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
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
