"""Where contigs and runs lie, as the index of a genome store says, and whether that can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

TYPES = {"names": list, "ambiguous": dict, "gc": int, "sha256": str, "soft_mask": bool, "sources": list}


def read_layout(index: Mapping[str, Any], size: int) -> tuple[Positions, Positions]:
    """Offsets int64[contigs + 1] and runs int64[R, 2] of ``GenomeStore``.

    Args:
        index: What ``index.json`` holds.
        size: Bytes of ``codes.bin``.

    Raises:
        KeyError: if something is missing.
        ValueError: if a value is of another type, or cannot be true of ``codes.bin``.
    """
    for key, kind in TYPES.items():
        if type(index[key]) is not kind:
            raise ValueError(f"{key} is not of type {kind.__name__}")
    names, lengths = index["names"], _whole_numbers(index["lengths"], "lengths")
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError("names are not the names of different contigs")
    if len(lengths) != len(names) or lengths.min(initial=1) < 1:
        raise ValueError("names and lengths are not those of the same contigs")
    if (bases := sum(lengths.tolist())) != size:
        raise ValueError(f"codes.bin has {size:,} bytes where index.json says {bases:,}")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    starts, ends = (_whole_numbers(index[key], key) for key in ("run_starts", "run_ends"))
    if len(starts) != len(ends) or not _in_order(starts, ends, size):
        raise ValueError("the runs are not stretches one after another")
    if (np.searchsorted(offsets, starts, "right") != np.searchsorted(offsets, ends, "left")).any():
        raise ValueError("a run reaches into the next contig")
    ambiguous = _whole_numbers(list(index["ambiguous"].values()), "ambiguous")
    if int((ends - starts).sum()) + sum(ambiguous.tolist()) != size:
        raise ValueError("the runs and the ambiguous letters are not all bases")
    return offsets, np.stack([starts, ends], axis=1)


def _whole_numbers(values: object, name: str) -> Positions:
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value < 2**62 for value in values):
        raise ValueError(f"{name} are not whole numbers")
    return np.array(values, np.int64)


def _in_order(starts: Positions, ends: Positions, size: int) -> bool:
    borders = np.stack([starts, ends], axis=1).ravel()
    return bool((starts < ends).all() and (np.diff(borders) >= 0).all() and (ends <= size).all())
