"""CUDA graphs: the kernels of a pass launched as one, for models whose kernels take less time than their launches."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from cmgems.distributed import ALONE, World
from cmgems.errors import CmgemsError
from cmgems.models import ModelConfig
from cmgems.training.compute import Compute
from cmgems.training.flops import training_flops

# FLOPs of a forward and backward pass that take a large GPU about as long as a host takes to launch its kernels: LOGO's
# pass takes a host 6 ms; on an H200 10 sequences go through it 1.9 times as fast with graphs, 250 (3.3e12) 1.01 times.
SMALL_PASS = 2e12


def choose_graphs(
    compute: Compute, model: nn.Module, config: ModelConfig, tokens: int, world: World = ALONE
) -> Compute:
    """``compute`` with `auto` decided: graphs for small passes of a compiled model on one GPU.

    Args:
        compute: Device settings.
        model: Trained with it.
        config: Its config.
        tokens: Tokens that go through the model at once.
        world: The processes: what several do together is no part of a graph.

    Raises:
        CmgemsError: if graphs are asked for where there can be none.
    """
    if reason := _why_none(compute, world):
        if compute.cuda_graphs == "on":
            fix = "set compute.cuda_graphs=auto"
            raise CmgemsError("no CUDA graphs", where="compute.cuda_graphs", why=reason, fix=fix)
        return replace(compute, cuda_graphs="off")
    small = training_flops(model, config).token * tokens < SMALL_PASS
    wanted = compute.cuda_graphs == "on" or (compute.cuda_graphs == "auto" and small)
    return replace(compute, cuda_graphs="on" if wanted else "off")


def _why_none(compute: Compute, world: World) -> str:
    """Why there can be no graphs; "" if there can."""
    if compute.device.type != "cuda" or not compute.compiled:
        return "they are of a compiled model on a GPU"
    if compute.packing == "on":
        return "packed rows have other lengths in every batch"
    return "several processes exchange gradients within a pass" if world.size > 1 else ""


def begin_pass(compute: Compute, model: nn.Module) -> None:
    """Call it before a forward and backward pass in training: a graph writes to the same memory each time."""
    if compute.cuda_graphs == "on":
        for parameter in model.parameters():
            if parameter.grad is not None:  # of the pass before
                parameter.grad = parameter.grad.clone()
        torch.compiler.cudagraph_mark_step_begin()
