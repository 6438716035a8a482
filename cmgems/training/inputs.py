"""A masked batch as the tensors of a training step: padded or packed, in shapes that stay static where compiled.

Shape suffixes: B sequences, S tokens in a padded row, T tokens of all sequences, M masked positions.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from cmgems.errors import CmgemsError
from cmgems.masking import MaskedBatch
from cmgems.models.base import Layout
from cmgems.models.packing import Packing
from cmgems.tokenization import IGNORE
from cmgems.training.compute import Compute

# The papers mask MASKED_SHARE of the tokens. A batch of one row may well exceed that by MASKED_SPREAD of it, one of B
# rows by MASKED_SPREAD / sqrt(B) of it.
MASKED_SHARE, MASKED_SPREAD = 0.15, 1.6
# Where shapes are static, packed tokens are padded to a multiple of this share of B * S.
TOKENS_SHARE = 0.125
# Rows with less padding than this share of B * S are not worth packing on a CPU.
WORTH_PACKING = 1 / 16

Inputs = tuple[torch.Tensor, Layout, torch.Tensor, torch.Tensor]


def loss_inputs(batch: MaskedBatch, compute: Compute, *, static: bool, packable: bool = True) -> Inputs:
    """(ids_BS, layout, positions_M, labels_M) on the device, the rows packed if ``compute`` says so.

    Args:
        batch: Padded rows.
        compute: Where to.
        static: Keep to few different shapes, by padding at the end: torch.compile makes a graph of each.
        packable: Whether the model's encoder takes packed rows.

    Raises:
        CmgemsError: if ``compute`` wants rows packed that the model does not take.
    """
    ids_BS, positions_M, labels_M = batch.ids_BS, batch.positions_M, batch.labels_M
    layout: Layout
    if packs(batch, compute, packable=packable, static=static):
        packed_T = np.flatnonzero(batch.attention_BS)
        positions_M = np.searchsorted(packed_T, positions_M)
        ids_BS = ids_BS.reshape(1, -1)[:, packed_T]
        lengths = batch.attention_BS.sum(1).tolist()
        if static:
            ids_BS, lengths = _static_row(ids_BS, lengths, batch)
        layout = Packing.of(lengths, compute.device)
    else:
        # Full rows go without a mask, which keeps a GPU from its fastest attention: at most a second graph a shape.
        layout = None if batch.attention_BS.all() else compute.move(batch.attention_BS)
    if static:
        positions_M, labels_M = _static_labels(positions_M, labels_M, batch.ids_BS.shape)
    return compute.move(ids_BS).long(), layout, compute.move(positions_M), compute.move(labels_M)


def packs(batch: MaskedBatch, compute: Compute, *, packable: bool, static: bool) -> bool:
    """Whether a batch's rows are packed; on a GPU never uncompiled, where each pair of tokens would take memory.

    Raises:
        CmgemsError: as for ``loss_inputs``.
    """
    if compute.packing == "on" and not packable:
        raise CmgemsError(
            "no packed rows for this model",
            where="compute.packing",
            why="its encoder takes padded rows only",
            fix="set compute.packing=off",
        )
    on_cpu = compute.device.type == "cpu"
    if compute.packing == "auto":
        worth = batch.attention_BS.sum() < (1 - WORTH_PACKING) * batch.attention_BS.size
        return packable and on_cpu and not compute.compiled and bool(worth)
    return compute.packing == "on" and (on_cpu or static)


def _static_labels(
    positions_M: np.ndarray, labels_M: np.ndarray, shape_BS: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Padding up to what a batch of this shape seldom exceeds, or as many steps above it as it takes."""
    rows, columns = shape_BS
    usual = MASKED_SHARE * rows * columns
    unit = max(1.0, usual * MASKED_SPREAD / math.sqrt(rows))
    steps = max(1, math.ceil((len(positions_M) - usual) / unit))
    padding = math.ceil(usual + steps * unit) - len(positions_M)
    return np.pad(positions_M, (0, padding)), np.pad(labels_M, (0, padding), constant_values=IGNORE)


def _static_row(ids_1T: np.ndarray, lengths: list[int], batch: MaskedBatch) -> tuple[np.ndarray, list[int]]:
    """Padding at the end of a packed row, as separate sequences, none longer than the batch's rows."""
    padding_id = int(batch.ids_BS[~batch.attention_BS][0]) if not batch.attention_BS.all() else 0
    unit = max(1, round(TOKENS_SHARE * batch.ids_BS.size))
    padding = -ids_1T.shape[1] % unit
    width = batch.ids_BS.shape[1]
    more = [min(width, padding - first) for first in range(0, padding, width)]
    return np.pad(ids_1T, ((0, 0), (0, padding)), constant_values=padding_id), lengths + more
