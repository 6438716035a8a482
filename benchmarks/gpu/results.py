"""Results as JSON lines: appended the moment they are known, read even if the last one was cut short."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULTS = "results.jsonl"
Line = dict[str, Any]


def append(path: Path, line: Line) -> None:
    """Add a line in one write, and see that it reaches the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, (json.dumps(line) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(paths: Iterable[Path]) -> list[Line]:
    """All whole lines of all files, in their order."""
    lines = []
    for path in paths:
        for text in path.read_text().splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:  # cut short by a kill
                continue
    return lines
