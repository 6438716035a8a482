"""Says what the machine is, and what it can do at most."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from bare import installed
from setting import arguments, cached_files, say

PACKAGES = ("torch", "triton", "transformers", "numpy", "numba", "torchdata", "xopen", "safetensors")


def median_seconds(call: Callable[[], object], count: int) -> float:
    """Of ``count`` calls, each timed by CUDA's own clock, after three that are not."""
    for _ in range(3):
        call()
    found = []
    for _ in range(count):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        call()
        last.record()
        last.synchronize()
        found.append(first.elapsed_time(last) / 1000)
    return statistics.median(found)


def ceilings(quick: bool) -> None:
    """What a large copy and a large bf16 matrix product reach, on random numbers."""
    size = 1024 if quick else 8192
    source = torch.randn(1 << (16 if quick else 30), device="cuda")
    target = torch.empty_like(source)
    copy = median_seconds(lambda: target.copy_(source), 10)
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    product = median_seconds(lambda: a @ b, 10)
    say(
        "ceilings",
        copy_tb_per_second=2 * source.nbytes / copy / 1e12,
        matmul_tflops=2 * size**3 / product / 1e12,
        size=size,
    )


def main() -> None:
    options = arguments(__doc__).parse_args()
    began = time.perf_counter()
    if not torch.cuda.is_available():
        sys.exit("error: no GPU: PyTorch sees no CUDA device")
    gpu = torch.cuda.get_device_properties(0)
    say(
        "machine",
        quick=options.quick,
        gpu=gpu.name,
        memory_gb=gpu.total_memory / 1e9,
        cores=os.cpu_count(),
        python=sys.version.split()[0],
        versions={package: installed(package) for package in PACKAGES},
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
        triton_files=cached_files(),
        store=(options.prepared / "store").is_dir(),
        cmgems=find_spec("cmgems") is not None,
        seconds=time.perf_counter() - began,
    )
    ceilings(options.quick)


if __name__ == "__main__":
    main()
