"""Sequences as rows of token ids that a model takes, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import reverse_complement
from cmgems.genome.alphabet import Codes
from cmgems.inference.windows import Window, split
from cmgems.tokenization import TokenMap, encode_rows

USUAL_TOKEN_BP = (
    4  # DNABERT-2 makes a token of 4.5 bp or more of every 2,000 bp of human, yeast and E. coli tried
)


@dataclass(frozen=True, eq=False)
class Piece:
    """One window of one sequence.

    Attributes:
        sequence: Index of the sequence it is of.
        window: Where in it.
        ids_S: int32 token ids, with [CLS] and [SEP], without padding.
    """

    sequence: int
    window: Window
    ids_S: npt.NDArray[np.int32]

    @property
    def is_whole(self) -> bool:
        """Whether the window answers for all that it shows."""
        window = self.window
        return (window.start, window.end) == (window.own_start, window.own_end)


@dataclass(frozen=True)
class Cutter:
    """Cuts sequences to what a model takes.

    Attributes:
        tokens: The model's tokenizer.
        max_positions: The longest row of tokens it takes.
        overlap_bp: What neighbouring windows share at least (bp); None for half a window, so that in a window of
            510 bp every base has 127 bp or more on each side that has them.
    """

    tokens: TokenMap
    max_positions: int
    overlap_bp: int | None = None

    @property
    def window_bp(self) -> int:
        """The longest window to try (bp); windows of more tokens than the model takes are cut again."""
        fits = self.tokens.tokenizer.bases_for(self.max_positions)
        return fits if self.tokens.tokenizer.k else USUAL_TOKEN_BP * fits

    def windows(self, length: int) -> Iterator[Window]:
        """The windows of a sequence of ``length`` bp.

        Raises:
            CmgemsError: if the overlap is too small for the tokens or as long as a window.
        """
        overlap_bp = self.window_bp // 2 if self.overlap_bp is None else self.overlap_bp
        if overlap_bp < self.tokens.least_overlap < self.window_bp:
            raise CmgemsError(
                "`overlap` is out of range",
                why=f"it is {overlap_bp} bp, a token is {self.tokens.least_overlap} bp",
                fix=f"give {self.tokens.least_overlap} bp or more (--overlap)",
            )
        return split(length, self.window_bp, overlap_bp, self.tokens.unit)

    def encode(self, codes_L: Codes) -> npt.NDArray[np.int32]:
        """Token ids of one stretch, without padding: more than the model takes, if letters are tokens of their own."""
        return encode_rows(self.tokens.tokenizer, [codes_L])[0]

    def pieces(self, index: int, codes_L: Codes) -> Iterator[Piece]:
        """The windows of one sequence, one by one; those without a single known token are left out."""
        for window in self.windows_of(codes_L):
            yield from self.pieces_in([(index, codes_L, window)])

    def windows_of(self, codes_L: Codes) -> Iterator[Window]:
        """The windows of one sequence, nothing but places: ``pieces_in`` encodes them."""
        length = len(codes_L)
        return iter([Window(0, length, 0, length)]) if self._fits(codes_L) else self.windows(length)

    def pieces_in(self, cuts: Sequence[tuple[int, Codes, Window]]) -> Iterator[Piece]:
        """The rows of some windows: several of one that has too many tokens, none of one that has no known one.

        Args:
            cuts: Of each window the number of its sequence, all bases of that, and where in it the window is.
        """
        rows = encode_rows(self.tokens.tokenizer, [codes_L[at.start : at.end] for _, codes_L, at in cuts])
        for (number, codes_L, window), ids_S in zip(cuts, rows, strict=True):
            for piece in self._fitting(number, codes_L, window, ids_S):
                if self.tokens.known(piece.ids_S).any():
                    yield piece

    def expected_tokens(self, length: int) -> int:
        """About how many tokens a stretch of ``length`` bp has, before it is encoded."""
        return -(-self.max_positions * length // self.window_bp)

    def _fits(self, codes_L: Codes) -> bool:
        """Whether a sequence longer than a window still is one row: many have fewer tokens than they might."""
        most_bp = self.max_positions * int(self.tokens.lengths.max())
        return self.window_bp < len(codes_L) <= most_bp and len(self.encode(codes_L)) <= self.max_positions

    def _fitting(
        self, index: int, codes_L: Codes, window: Window, ids_S: npt.NDArray[np.int32]
    ) -> Iterator[Piece]:
        if len(ids_S) <= self.max_positions:
            yield Piece(index, window, ids_S)
            return
        # Ends at the latest with a window of one unit, which every model takes.
        length, unit = window.end - window.start, self.tokens.unit
        wide = max(_shorter(length) // unit, 1)
        for part in split(length, wide * unit, wide // 2 * unit, unit):
            own_start = max(window.start + part.own_start, window.own_start)
            own_end = min(window.start + part.own_end, window.own_end)
            if own_start < own_end:
                start, end = window.start + part.start, window.start + part.end
                shorter = Window(start, end, own_start, own_end)
                yield from self._fitting(index, codes_L, shorter, self.encode(codes_L[start:end]))

    def around(self, codes_L: Codes, base: int, *, reverse: bool) -> tuple[npt.NDArray[np.int32], int]:
        """The longest window with ``base`` in its middle, or as near to it as the sequence allows.

        Args:
            codes_L: uint8[L], a whole contig.
            base: Position in it, from 0.
            reverse: Read the window's other strand.

        Returns:
            Token ids without padding, and where the base lies in the window as it is read (bp).
        """
        length = min(self.window_bp, len(codes_L))
        while True:
            start = min(max(base - length // 2, 0), len(codes_L) - length)
            window, at = codes_L[start : start + length], base - start
            if reverse:
                window, at = reverse_complement(window), length - 1 - at
            ids_S = self.encode(window)
            if len(ids_S) <= self.max_positions:
                return ids_S, at
            length = _shorter(length)


def _shorter(length: int) -> int:
    """The next length to try (bp) for a window of more tokens than the model takes, for the N in it."""
    return 2 * length // 3


def own_bases(windows: Iterable[Window]) -> int:
    """How many bases the windows answer for (bp): the progress they make."""
    return sum(window.own_end - window.own_start for window in windows)
