"""Makes a machine ready that lacks packages: wheels installed, Triton's cache unpacked. Needs Python and pip alone."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def install(wheels: Path, site: Path) -> list[str]:
    """Install into ``site`` those wheels whose package this Python lacks; returns their names."""
    missing = [wheel for wheel in sorted(wheels.glob("*.whl")) if not installed(wheel.name.split("-")[0])]
    if missing:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        command += ["--no-cache-dir", "--target", str(site), *map(str, missing)]
        subprocess.run(command, check=True)
    return [wheel.name for wheel in missing]


def installed(distribution: str) -> str:
    """Its version, or nothing."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def unpack(tar: Path, folder: Path) -> int:
    """Files unpacked into Triton's cache; 0 without a tar, or if something is there."""
    if not tar.is_file() or (folder.is_dir() and any(folder.iterdir())):
        return 0
    with tarfile.open(tar) as packed:
        packed.extractall(folder, filter="data")
        return len(packed.getmembers())
