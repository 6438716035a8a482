"""What fine-tuned models say about sequences of any length: logits of sequences, or of their bases.

Shape suffixes: N sequences, C outputs, L bases, S tokens of a row, T those that stand for bases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from cmgems.inference.cutter import Piece, own_bases
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.windows import merge_means
from cmgems.tokenization import TokenMap

Logits = npt.NDArray[np.float32]


def class_logits(
    engine: Engine, sequences: Sequence[NamedSequence], advance: Advance = ignore
) -> Iterator[Logits]:
    """Logits float32 (C,) of each sequence in turn: of a long one the mean over its windows.

    Args:
        engine: Of a model of sequences (classes, labels or quantities).
        sequences: Checked ones (``usable_sequences``).
        advance: Told the number of bases done.
    """
    for chunk in engine.cutter.chunks(sequences, engine.batch_size):
        logits: list[Logits] = [np.empty(0, np.float32)] * len(chunk)
        for i, row_C in _answers(engine, chunk, advance):
            logits[i] = row_C
        groups_W = np.array([piece.sequence - chunk[0].sequence for piece in chunk], np.int64)
        yield from merge_means(np.stack(logits), groups_W, np.ones(len(chunk)))


def base_logits(
    engine: Engine, sequences: Sequence[NamedSequence], advance: Advance = ignore
) -> Iterator[Logits]:
    """Logits float32 (L, C) of the bases of each sequence in turn, NaN in windows without a single known token.

    A base gets those of the token that stands for it (``TokenMap.token_of_base``), or where an overlapping k-mer is
    missing, at the ends of a sequence, of the nearest; from the window that the base belongs to.

    Args: as for ``class_logits``, of a classifier of tokens.
    """
    for chunk in engine.cutter.chunks(sequences, engine.batch_size):
        found: dict[int, Logits] = {}
        for i, row_SC in _answers(engine, chunk, advance):
            piece = chunk[i]
            if piece.sequence not in found:
                length = len(sequences[piece.sequence].codes)
                found[piece.sequence] = np.full((length, row_SC.shape[1]), np.nan, np.float32)
            window = piece.window
            own = slice(window.own_start - window.start, window.own_end - window.start)
            rows_L = _rows_of_bases(engine.cutter.tokens, piece)[own]
            found[piece.sequence][window.own_start : window.own_end] = row_SC[rows_L]
        yield from (found[index] for index in sorted(found))


@torch.no_grad()
def _answers(engine: Engine, pieces: Sequence[Piece], advance: Advance) -> Iterator[tuple[int, Logits]]:
    """The index of each window and what the model makes of it, (C,) or (S, C)."""
    for chosen, ids_BS, attention_BS in engine.batches(pieces):
        with engine.compute.autocast():
            logits = engine.network(ids_BS, attention_BS)
        yield from zip(chosen, logits.float().cpu().numpy(), strict=True)
        advance(own_bases([pieces[i] for i in chosen]))


def _rows_of_bases(tokens: TokenMap, piece: Piece) -> npt.NDArray[np.int64]:
    """The position in the row of the token that each base of the window gets its answer from."""
    body_T = tokens.body(piece.ids_S)
    token_L = tokens.token_of_base(piece.ids_S[body_T])
    rows_L: npt.NDArray[np.int64] = body_T[token_L.clip(0, len(body_T) - 1)]
    return rows_L
