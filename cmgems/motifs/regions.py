"""Stretches of a sequence in which a signal is high."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmgems.inference.spread import Values


def high_bases(signal_L: Values, shortest: int) -> npt.NDArray[np.bool_]:
    """The bases in stretches above the sequence's mean that are ``shortest`` bp or longer, bool (L,).

    Args:
        signal_L: One number a base; NaN is not high.
        shortest: Of the stretches kept (bp).
    """
    with np.errstate(invalid="ignore"):
        high_L = signal_L > np.nanmean(signal_L)
    edges = np.flatnonzero(np.diff(high_L, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2):
        high_L[start:end] = end - start >= shortest
    return high_L
