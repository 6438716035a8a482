"""``cmgems info``: what a bug report should say about the machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

PACKAGES = ("torch", "numba", "numpy", "tokenizers", "safetensors", "transformers")


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show versions, devices and what can be compiled.

    Example: cmgems info --json
    """
    import json

    facts = collect()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {'none' if value is None else value}")


def collect() -> dict[str, Any]:
    """Versions, device, threads and compilers by name; None for what is not there."""
    import importlib.util
    import os
    import platform
    import shutil
    from importlib.metadata import PackageNotFoundError, version

    import numba
    import torch

    from cmgems import __version__

    def version_of(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    compilers = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    compiler = next((found for name in compilers if name and (found := shutil.which(name))), None)
    triton = importlib.util.find_spec("triton") is not None
    cuda = torch.cuda.is_available()
    return {
        "cmgems": __version__,
        "python": platform.python_version(),
        **{package: version_of(package) for package in PACKAGES},
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "devices": torch.cuda.device_count() if cuda else 0,
        "cuda": torch.version.cuda,
        "torch threads": torch.get_num_threads(),
        "numba threads": numba.get_num_threads(),
        "C++ compiler": compiler,
        "triton": version_of("triton") if triton else None,
        "torch.compile": triton if cuda else compiler is not None,
    }
