"""What fine-tuned models say about sequences of any length: logits of sequences, or of their bases.

Shape suffixes: B rows of a batch, C outputs, L bases, S tokens of a row, T those that stand for bases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from cmgems.inference.cutter import Piece, own_bases
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.windows import WindowMean
from cmgems.tokenization import TokenMap

Logits = npt.NDArray[np.float32]


def class_logits(
    engine: Engine, sequences: Iterable[NamedSequence], advance: Advance = ignore
) -> Iterator[tuple[NamedSequence, Logits]]:
    """Each sequence in turn with its logits, float32 (C,): of a long one the mean over its windows.

    Args:
        engine: Of a model of sequences (classes, labels or quantities).
        sequences: Checked ones (``usable_sequences``), any number.
        advance: Told the number of bases done.
    """
    for sequence, windows in engine.through(sequences, partial(_logits, engine), advance):
        mean = WindowMean()
        for _, row_C in windows:
            mean.add(row_C)
        yield sequence, mean.value()


def base_logits(
    engine: Engine, sequences: Iterable[NamedSequence], advance: Advance = ignore
) -> Iterator[tuple[NamedSequence, Logits]]:
    """Each sequence in turn with the logits of its bases, float32 (L, C), NaN in windows without a single known token.

    A base gets those of the token that stands for it (``TokenMap.token_of_base``), or where an overlapping k-mer is
    missing, at the ends of a sequence, of the nearest; from the window that the base belongs to.

    Args: as for ``class_logits``, of a classifier of tokens.
    """

    def of_own_bases(pieces: Sequence[Piece], advance: Advance) -> list[Logits]:
        rows = _logits(engine, pieces, advance)
        return [
            row_SC[_rows_of_bases(engine.cutter.tokens, piece)]
            for piece, row_SC in zip(pieces, rows, strict=True)
        ]

    for sequence, windows in engine.through(sequences, of_own_bases, advance):
        found_LC = np.empty((0, 0), np.float32)
        for piece, own_LC in windows:
            if not len(found_LC):
                found_LC = np.full((len(sequence.codes), own_LC.shape[1]), np.nan, np.float32)
            found_LC[piece.window.own_start : piece.window.own_end] = own_LC
        yield sequence, found_LC


def _logits(engine: Engine, pieces: Sequence[Piece], advance: Advance) -> list[Logits]:
    """What the model makes of each window, (C,) or (S, C)."""
    found: list[Logits] = [np.empty(0, np.float32)] * len(pieces)
    for chosen, logits in engine.passes(
        [piece.ids_S for piece in pieces],
        lambda _, ids_BS, attention_BS: engine.network(ids_BS, attention_BS).float(),
    ):
        for i, row in zip(chosen, logits, strict=True):
            found[i] = row
        advance(own_bases(pieces[i].window for i in chosen))
    return found


def _rows_of_bases(tokens: TokenMap, piece: Piece) -> npt.NDArray[np.int64]:
    """The position in the row of the token that each of the window's own bases gets its answer from."""
    body_T = tokens.body(piece.ids_S)
    token_L = tokens.token_of_base(piece.ids_S[body_T])
    rows_L: npt.NDArray[np.int64] = body_T[token_L.clip(0, len(body_T) - 1)]
    return rows_L[piece.window.own]
