"""What is in a BED file beside the records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cmgems.reading.text import Line, read_lines

# With the space: a contig may be called track1.
FOR_BROWSERS = ("track ", "browser ")


def bed_lines(path: Path, errors: Literal["strict", "replace"] = "strict") -> Iterator[Line]:
    """The lines that are records, without blank ones, comments, `track` and `browser`; arguments as ``read_lines``."""
    for line in read_lines(path, errors=errors):
        if line.text.strip() and not line.text.startswith(("#", *FOR_BROWSERS)):
            yield line
