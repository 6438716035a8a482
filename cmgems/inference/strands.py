"""Both strands of sequences: one is read after the other, and the answer is the mean of theirs.

The strand whose codes come first in order is always read first, so that a sequence and its reverse complement are the
very same work: they get the same answer to the bit, however a batch rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from cmgems.inference.sequences import NamedSequence

A = TypeVar("A", bound=npt.NDArray[Any])


def on_both_strands(
    sequences: Iterable[NamedSequence],
    answer: Callable[[Iterable[NamedSequence]], Iterable[tuple[NamedSequence, A]]],
    turn: Callable[[A], A] = lambda of_other: of_other,
) -> Iterator[tuple[NamedSequence, A]]:
    """Each sequence in turn with the mean of its answer and that of its other strand.

    Args:
        sequences: Any number; read once.
        answer: Each of any sequences in turn with its answer, an array of floats.
        turn: Brings the answer of the other strand into the order of the sequence's own.
    """
    found = iter(answer(_both(sequences)))
    for pair in zip(found, found, strict=True):
        (sequence, own), (_, of_other) = sorted(pair, key=lambda read: read[0].turned)
        yield sequence, mean_of_strands(own, turn(of_other))


def mean_of_strands(own: A, of_other: A) -> A:
    """The mean of two arrays; where one has NaN, the value of the other."""
    first, second = np.where(np.isnan(own), of_other, own), np.where(np.isnan(of_other), own, of_other)
    return cast(A, (first + second) / 2)


def _both(sequences: Iterable[NamedSequence]) -> Iterator[NamedSequence]:
    for sequence in sequences:
        yield from sorted((sequence, sequence.other_strand()), key=lambda strand: strand.codes.tobytes())
