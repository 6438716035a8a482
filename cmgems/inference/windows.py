"""Sequences longer than the model: cut into overlapping windows, and put the answers together again.

Pure functions of lengths and numbers; which tokens stand for the bases of a window is the tokenizer's business.

What is exact: every base belongs to exactly one window, its *owner*, the one in which it lies farthest from a cut.
Answers for single bases or tokens are taken from the owner, so wherever the model's answer depends on no base beyond
the window, the merged answer is the unsplit one. What is an approximation: a model that attends to everything sees
less in a window, and sees other positions; one answer for a whole sequence (class logits, a [CLS] vector) becomes
the mean of its windows' answers.

Taking the owner, not the mean over windows, for single bases: a base at the edge of a window is read with half its
context missing, so the mean mixes a worse answer into the better one; the mean of log-likelihoods is no
log-likelihood of anything; and where each base costs a forward pass, overlap becomes free.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError


@dataclass(frozen=True)
class Window:
    """A stretch of a sequence, half-open, in bp from the sequence's start.

    Attributes:
        start: First base the model sees.
        end: One past the last.
        own_start: First base this window answers for.
        own_end: One past the last.
    """

    start: int
    end: int
    own_start: int
    own_end: int


def split(length: int, window_bp: int, overlap_bp: int, unit: int = 1) -> list[Window]:
    """Cut a sequence into as few windows as the overlap allows, evenly spread, all of the same length.

    Args:
        length: Of the sequence (bp), at least 1.
        window_bp: The longest window (bp).
        overlap_bp: What neighbouring windows share at least (bp).
        unit: Windows and the seams of ownership start at multiples of it (bp): with tokens of ``unit`` bases side by
            side every window cuts tokens where the unsplit sequence does. Only the last window may be shorter than
            the others, by less than ``unit``.

    Returns:
        The windows from left to right. Their own parts tile ``[0, length)``.

    Raises:
        CmgemsError: if the overlap leaves no room to move on.
    """
    if length <= window_bp:
        return [Window(0, length, 0, length)]
    whole, wide, shared = -(-length // unit), window_bp // unit, -(-overlap_bp // unit)
    if not 0 <= shared < wide:
        raise CmgemsError(
            "`overlap` is out of range",
            why=f"it is {overlap_bp} bp, a window is {window_bp} bp",
            fix=f"give 0 to {(wide - 1) * unit} bp (--overlap)",
        )
    steps = -(-(whole - wide) // (wide - shared))
    starts = [i * (whole - wide) // steps for i in range(steps + 1)]
    seams = [0, *((left + wide + right) // 2 for left, right in pairwise(starts)), whole]
    return [
        Window(
            start * unit,
            min((start + wide) * unit, length),
            seams[i] * unit,
            min(seams[i + 1] * unit, length),
        )
        for i, start in enumerate(starts)
    ]


def merge_means(
    values_WC: npt.NDArray[np.float32], groups_W: npt.NDArray[np.int64], weights_W: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Weighted mean of the windows of each sequence: float32[G, C], summed in float64.

    Args:
        values_WC: float32, one answer a window.
        groups_W: int64, the sequence of each window, 0..G-1, none left out.
        weights_W: float64: 1 for the plain mean; the tokens a window owns, to count every token of the sequence
            once. Those of a sequence must not all be 0.
    """
    groups = int(groups_W.max()) + 1
    sums_GC = np.zeros((groups, values_WC.shape[1]))
    np.add.at(sums_GC, groups_W, values_WC * weights_W[:, None])
    totals_G = np.bincount(groups_W, weights_W, groups)
    return (sums_GC / totals_G[:, None]).astype(np.float32)
