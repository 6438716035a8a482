"""A masked batch cut into smaller ones, which go through the model one after the other.

Shape suffixes: B sequences, S tokens in a padded row, M masked positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmgems.masking.corruption import MaskedBatch


def micro_batches(batch: MaskedBatch, parts: int, full: int, multiple: int) -> list[MaskedBatch]:
    """A step's batch as ``parts`` batches, rows of similar length together.

    Args:
        batch: Rows padded at their ends, to a multiple of ``multiple``.
        parts: How many, the same on every rank. Their numbers of rows differ by one at most; the last may have none.
        full: Tokens of the longest rows there are. A batch of such rows alone is cut to them and needs no mask.
        multiple: Other batches are cut to the longest row, rounded up to a multiple of this many tokens.
    """
    lengths_B = batch.attention_BS.sum(1)
    order_B = np.argsort(-lengths_B, kind="stable")  # the longest first: memory that is short shows at once
    return [
        _of_rows(batch, rows_B, _width(lengths_B[rows_B], full, multiple))
        for rows_B in np.array_split(order_B, parts)
    ]


def never_empty(batch: MaskedBatch) -> MaskedBatch:
    """``batch``, or if it has no row one row of any tokens, none of them masked: ranks with fewer rows take part in
    every exchange."""
    height, width = batch.ids_BS.shape
    if height:
        return batch
    return replace(batch, ids_BS=np.zeros((1, width), np.int32), attention_BS=np.ones((1, width), np.bool_))


def _width(lengths_B: np.ndarray, full: int, multiple: int) -> int:
    if not len(lengths_B):
        return full
    shortest, longest = int(lengths_B.min()), int(lengths_B.max())
    return full if shortest == full else -(-longest // multiple) * multiple


def _of_rows(batch: MaskedBatch, rows_B: np.ndarray, width: int) -> MaskedBatch:
    """The given rows, cut to ``width`` tokens."""
    height, columns = batch.ids_BS.shape
    width = min(width, columns)
    place_B = np.full(height, -1)
    place_B[rows_B] = np.arange(len(rows_B))
    row_M, column_M = np.divmod(batch.positions_M, columns)
    positions_M = place_B[row_M] * width + column_M
    inside_M = place_B[row_M] >= 0
    return MaskedBatch(
        batch.ids_BS[rows_B, :width],
        batch.attention_BS[rows_B, :width],
        positions_M[inside_M],
        batch.labels_M[inside_M],
        batch.strategy,
    )
