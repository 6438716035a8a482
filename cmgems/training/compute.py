"""Where and how the arithmetic runs: device, precision, torch.compile, threads, seed."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import nn

from cmgems.config import free
from cmgems.errors import CmgemsError
from cmgems.models.flash import has_flash
from cmgems.models.packing import to_device

# Parameters of mallopt, in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
# Of fine-tuning rows: tokens that widths are a multiple of, and how many widths a compiled model gets at most. The last
# batch of an epoch is of another height, so there are twice as many shapes.
ROW_MULTIPLE, COMPILED_WIDTHS = 8, 16
RECOMPILE_LIMIT = 64


@dataclass(frozen=True)
class ComputeConfig:
    """Device settings. A run may go on with others but for the precision: they change sums to rounding only.

    Attributes:
        device: `auto` takes the GPU when there is one.
        precision: `auto` is bf16 autocast where the processor has bf16 arithmetic (GPUs since Ampere, CPUs with
            AVX512-BF16 or AMX), else fp32: emulated bf16 is slower than fp32. A run that goes on on another machine
            takes what is right there; set it to keep one.
        compile: `auto` compiles on a GPU only, if there is a C compiler.
        cuda_graphs: Whether a compiled model's kernels are launched as one: faster where they are short, for memory of
            their own. `auto`: for small models, on one GPU.
        autotune: Try several kernels for every matrix product while compiling, which takes minutes.
        packing: Whether pretraining lays the sequences of a batch side by side in one row instead of padding them to
            the longest. The results are the same to rounding. `auto` packs, for models that can, on a CPU batches with
            more than 1/16 padding, and on a GPU in bf16 all that have padding, but for models with ALiBi and where
            there are CUDA graphs. `on` packs those with ALiBi too, compiled and without attention dropout.
        recompute: Compute each layer again in the backward pass instead of keeping what it made: less memory, a third
            more work.
        micro_batch: Sequences that go through the model at once, on each process; the step stays the same to
            rounding, but that dropout is drawn anew. None for as many as fit: when memory is short, half as many from
            there on.
        threads: CPU threads; None leaves it to PyTorch.
    """

    device: Literal["auto", "cpu", "cuda"] = free("auto")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: Literal["auto", "on", "off"] = free("auto")
    cuda_graphs: Literal["auto", "on", "off"] = free("auto")
    autotune: bool = free(False)
    packing: Literal["auto", "on", "off"] = free("auto")
    recompute: bool = free(False)
    micro_batch: int | None = free(None)
    threads: int | None = free(None)

    def __post_init__(self) -> None:
        for name in ("micro_batch", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise CmgemsError(f"`{name}` must be 1 or more, but is {getattr(self, name)}")


@dataclass(frozen=True)
class Compute:
    """Resolved device settings."""

    device: torch.device
    bf16: bool
    compiled: bool
    cuda_graphs: Literal["auto", "on", "off"] = "off"
    autotune: bool = False
    packing: Literal["auto", "on", "off"] = "auto"
    recompute: bool = False
    micro_batch: int | None = None

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 autocast, or nothing in fp32."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    @property
    def flash(self) -> bool:
        """Whether FlashAttention runs here, for models without ALiBi."""
        return self.bf16 and has_flash(self.device)

    @property
    def steps_ahead(self) -> int:
        """How many steps are started before the figures of one are read: a CPU is done with a step at once."""
        return 1 if self.device.type == "cuda" else 0

    def recompute_layers(self, model: Any) -> None:
        """Let the encoder keep less for the backward pass, if that is wanted; before ``compile``."""
        model.encoder.recompute = self.recompute

    def row_multiple(self, longest: int) -> int:
        """Widths of fine-tuning rows, up to ``longest``, are multiples of so many tokens: few where each is a graph."""
        return ROW_MULTIPLE * (-(-longest // (ROW_MULTIPLE * COMPILED_WIDTHS)) if self.compiled else 1)

    def compile(self, model: nn.Module) -> nn.Module:
        """The model to call in training; it shares ``model``'s parameters."""
        if not self.compiled:
            return model
        expect_shapes()
        options: dict[str, Any] = {"triton.cudagraphs": self.cuda_graphs == "on"}
        if self.autotune:  # without a table of all kernels tried
            options |= {"max_autotune_gemm": True, "autotune_num_choices_displayed": 0}
        return cast(nn.Module, torch.compile(model, dynamic=False, fullgraph=True, options=options))

    def move(self, array: np.ndarray) -> torch.Tensor:
        """``array`` as a tensor on the device."""
        return to_device(array, self.device)

    def describe(self) -> str:
        """For the log: 'cpu, fp32, eager'."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return f"{name}, {'bf16' if self.bf16 else 'fp32'}, {'compiled' if self.compiled else 'eager'}"


def uncompiled(compute: Compute) -> AbstractContextManager[object]:
    """Around passes whose rows come in more shapes than are worth a graph each: what is compiled runs as it is."""
    if not compute.compiled:  # the stance is that of all threads, and importing it takes most of a second
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance


def expect_shapes() -> None:
    """Let torch.compile make a graph for each shape: there are few, but more than the 8 after which it gives up."""
    torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT


def resolve_compute(config: ComputeConfig, local_rank: int = 0) -> Compute:
    """What the settings mean on this machine; changes nothing.

    Args:
        config: The settings.
        local_rank: This process among those of its machine, which decides its GPU.

    Raises:
        CmgemsError: if there is no GPU, or no GPU for this process, though the settings want one, or if they want
            rows packed in a model that is compiled for a CPU.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise CmgemsError(
            "no GPU", where="compute.device", why="PyTorch sees no CUDA device", fix="set compute.device=auto"
        )
    on_gpu = has_gpu and config.device != "cpu"
    compiled = config.compile == "on" or (config.compile == "auto" and on_gpu and _has_c_compiler())
    if config.packing == "on" and compiled and not on_gpu:
        raise CmgemsError(
            "no packed rows in a compiled model on a CPU",
            where="compute.packing",
            why="every batch has other lengths",
            fix="set compute.compile=off or compute.packing=off",
        )
    if on_gpu and local_rank >= (gpus := torch.cuda.device_count()):
        raise CmgemsError(
            "more processes than GPUs",
            where="--nproc-per-node",
            why=f"PyTorch sees {gpus} on this machine",
            fix=f"give {gpus}",
        )
    return Compute(
        device=torch.device("cuda", local_rank) if on_gpu else torch.device("cpu"),
        bf16=config.precision == "bf16" or (config.precision == "auto" and _multiplies_bf16(on_gpu)),
        compiled=compiled,
        cuda_graphs=config.cuda_graphs,
        autotune=config.autotune,
        packing=config.packing,
        recompute=config.recompute,
        micro_batch=config.micro_batch,
    )


def start_compute(config: ComputeConfig, seed: int, local_rank: int = 0) -> Compute:
    """Resolve the settings and set this process up for them: GPU, threads, memory and torch's random state.

    Raises:
        CmgemsError: as ``resolve_compute``.
    """
    compute = resolve_compute(config, local_rank)
    if compute.device.type == "cuda":
        if config.compile == "auto" and not compute.compiled:
            print(
                "warning: no C compiler (gcc or clang), so the model is not compiled and slower",
                file=sys.stderr,
            )
        torch.cuda.set_device(compute.device)
        torch.set_float32_matmul_precision("high")
    else:
        _keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(seed)
    return compute


def _has_c_compiler() -> bool:
    """Whether Triton finds one: it builds the launcher of each GPU kernel."""
    names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
    return any(shutil.which(name) for name in names)


def _keep_freed_memory() -> None:
    """Tell glibc's malloc to keep what is freed for the next step.

    By default it returns large blocks to the system, which hands them out again as zeroed pages, one fault for each
    4 KiB: up to a third of a training step on a CPU. Other C libraries are left alone.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)


def _multiplies_bf16(on_gpu: bool) -> bool:
    if on_gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A torch too old to say gets fp32.
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
