"""Numbers of tokens as numbers of bases, and the other way round: which tokens hide a base.

Shape suffixes: S tokens of a row, T those of them that stand for bases, E (token, base) pairs, L bases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.tokenization import TokenMap

Values = npt.NDArray[np.float64]


def spread(values_T: Values, spans_T2: npt.NDArray[np.int64], length: int) -> Values:
    """The mean over the tokens that cover each base: float64 (L,), NaN where none does.

    One rule for every tokenizer. A base has the mean of the k overlapping k-mers over it (fewer at the ends), as in
    DNABERT's figures; a base of a token that lies beside its neighbours has what the token has, undivided. So tokens
    that are all alike give a flat line, however they differ in length: a base stands out for what the model does,
    never for how the sequence was cut.

    Args:
        values_T: One number a token.
        spans_T2: int64, first base of each token and one past its last (bp).
        length: Bases L.
    """
    widths_T = spans_T2[:, 1] - spans_T2[:, 0]
    offset_E = np.arange(widths_T.sum()) - np.repeat(np.cumsum(widths_T) - widths_T, widths_T)
    base_E = np.repeat(spans_T2[:, 0], widths_T) + offset_E
    sums_L = np.bincount(base_E, np.repeat(values_T, widths_T), length)
    with np.errstate(invalid="ignore"):
        mean_L: Values = sums_L / np.bincount(base_E, minlength=length)
    return mean_L


@dataclass(frozen=True, eq=False)
class HiddenBases:
    """A row in which bases are hidden.

    Attributes:
        ids_S: int32, every token over the bases masked.
        bases: The bases it stands for, half-open, counted from the window's first (bp).
    """

    ids_S: npt.NDArray[np.int32]
    bases: slice


def hidden_rows(
    tokens: TokenMap, ids_S: npt.NDArray[np.int32], first: int, last: int
) -> Iterator[HiddenBases]:
    """Rows with the bases ``[first, last)`` hidden in turn: one a base, or one a token if tokens do not overlap.

    With overlapping k-mers all tokens over a base are masked: any one left would spell it out. Bases without a known
    token get no row.

    Args:
        tokens: The bases behind the ids.
        ids_S: A window, without padding.
        first: First base to hide, counted from the window's first (bp).
        last: One past the last.
    """
    body_T = tokens.body(ids_S)
    spans_T2 = tokens.spans(ids_S[body_T])
    known_T = tokens.known(ids_S[body_T])
    if tokens.overlapping:
        stretches = [(base, base + 1) for base in range(first, last)]
    else:
        stretches = [
            (max(start, first), min(end, last))
            for start, end in spans_T2.tolist()
            if start < last and end > first
        ]
    for start, end in stretches:
        over_T = (spans_T2[:, 0] < end) & (spans_T2[:, 1] > start)
        if known_T[over_T].any():
            masked_S = ids_S.copy()
            masked_S[body_T[over_T]] = tokens.tokenizer.mask_id
            yield HiddenBases(masked_S, slice(start, end))
