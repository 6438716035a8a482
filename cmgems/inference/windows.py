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

from collections.abc import Iterator
from dataclasses import dataclass

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

    @property
    def own(self) -> slice:
        """The bases it answers for, counted from its start."""
        return slice(self.own_start - self.start, self.own_end - self.start)


def split(length: int, window_bp: int, overlap_bp: int, unit: int = 1) -> Iterator[Window]:
    """Cut a sequence into as few windows as the overlap allows, evenly spread, all of the same length.

    Args:
        length: Of the sequence (bp), at least 1.
        window_bp: The longest window (bp).
        overlap_bp: What neighbouring windows share at least (bp).
        unit: Windows and the seams of ownership start at multiples of it (bp): with tokens of ``unit`` bases side by
            side every window cuts tokens where the unsplit sequence does. Only the last window may be shorter than
            the others, by less than ``unit``.

    Yields:
        The windows from left to right: a chromosome has a million. Their own parts tile ``[0, length)``.

    Raises:
        CmgemsError: if the overlap leaves no room to move on.
    """
    if length <= window_bp:
        yield Window(0, length, 0, length)
        return
    whole, wide, shared = -(-length // unit), window_bp // unit, -(-overlap_bp // unit)
    if not 0 <= shared < wide:
        raise CmgemsError(
            "`overlap` is out of range",
            why=f"it is {overlap_bp} bp, a window is {window_bp} bp",
            fix=f"give 0 to {(wide - 1) * unit} bp (--overlap)",
        )
    steps = -(-(whole - wide) // (wide - shared))
    start, own_start = 0, 0
    for i in range(steps + 1):
        following = (i + 1) * (whole - wide) // steps
        own_end = whole if i == steps else (start + wide + following) // 2
        yield Window(
            start * unit, min((start + wide) * unit, length), own_start * unit, min(own_end * unit, length)
        )
        start, own_start = following, own_end


class WindowMean:
    """One answer for a sequence, the weighted mean of its windows': summed in float64, held as one row."""

    def __init__(self) -> None:
        self._sum_C: npt.NDArray[np.float64] | float = 0.0
        self._weight = 0.0

    def add(self, row_C: npt.NDArray[np.float32], weight: float = 1.0) -> None:
        """The answer of one more window.

        Args:
            row_C: float32.
            weight: 1 for the plain mean; the tokens a window owns, to count every token of the sequence once. Those of
                a sequence must not all be 0.
        """
        self._sum_C = self._sum_C + row_C.astype(np.float64) * weight
        self._weight += weight

    def value(self) -> npt.NDArray[np.float32]:
        """The mean so far, float32 (C,)."""
        return np.asarray(self._sum_C / self._weight, np.float32)
