"""Where and how the arithmetic runs: device, precision, torch.compile, threads, seed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import nn

from cmgems.errors import CmgemsError


@dataclass(frozen=True)
class ComputeConfig:
    """Device settings.

    Attributes:
        device: `auto` takes the GPU when there is one.
        precision: `auto` is bf16 autocast where the processor multiplies bf16 itself (GPUs since Ampere, CPUs with
            AVX512-BF16 or AMX), else fp32: emulated bf16 is slower than fp32.
        compile: `auto` compiles on a GPU only.
        threads: CPU threads; None leaves it to PyTorch.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise CmgemsError(f"`threads` must be 1 or more, but is {self.threads}")


@dataclass(frozen=True)
class Compute:
    """Resolved device settings."""

    device: torch.device
    bf16: bool
    compiled: bool

    def autocast(self) -> AbstractContextManager[object]:
        """bf16 autocast, or nothing in fp32."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def compile(self, model: nn.Module) -> nn.Module:
        """The model to call in training; it shares ``model``'s parameters."""
        if not self.compiled:
            return model
        return cast(nn.Module, torch.compile(model, dynamic=False, fullgraph=True))

    def describe(self) -> str:
        """For the log: 'cpu, fp32, eager'."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return f"{name}, {'bf16' if self.bf16 else 'fp32'}, {'compiled' if self.compiled else 'eager'}"


def start_compute(config: ComputeConfig, seed: int, local_rank: int = 0) -> Compute:
    """Resolve the settings, set the number of threads and seed torch.

    Raises:
        CmgemsError: if a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise CmgemsError(
            "no GPU", where="compute.device", why="PyTorch sees no CUDA device", fix="set compute.device=auto"
        )
    on_gpu = has_gpu and config.device != "cpu"
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if on_gpu:
        torch.cuda.set_device(local_rank)
        torch.set_float32_matmul_precision("high")
    torch.manual_seed(seed)
    return Compute(
        device=torch.device("cuda", local_rank) if on_gpu else torch.device("cpu"),
        bf16=config.precision == "bf16" or (config.precision == "auto" and _multiplies_bf16(on_gpu)),
        compiled=config.compile == "on" or (config.compile == "auto" and on_gpu),
    )


def _multiplies_bf16(on_gpu: bool) -> bool:
    if on_gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A torch too old to say gets fp32.
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
