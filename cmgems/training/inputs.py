"""A masked batch as the tensors of a training step: padded or packed, in shapes that stay static where compiled.

Shape suffixes: B sequences, S tokens in a padded row, T tokens of all sequences, M masked positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from cmgems.errors import CmgemsError
from cmgems.masking import MaskedBatch
from cmgems.models.base import Layout
from cmgems.models.packing import KERNELS, Kernel, Packing
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


def loss_inputs(
    batch: MaskedBatch, compute: Compute, *, static: bool, packed_by: Sequence[Kernel] = KERNELS
) -> Inputs:
    """(ids_BS, layout, positions_M, labels_M) on the device, the rows packed if ``compute`` says so.

    Args:
        batch: Padded rows.
        compute: Where to.
        static: Keep to few different shapes, by padding at the end: torch.compile makes a graph of each.
        packed_by: What may compute the model's attention in packed rows; nothing if it takes padded rows only.

    Raises:
        CmgemsError: if ``compute`` wants rows packed that the model does not take.
    """
    ids_BS, positions_M, labels_M = batch.ids_BS, batch.positions_M, batch.labels_M
    layout: Layout
    if kernel := packing_kernel(batch, compute, static=static, packed_by=packed_by):
        packed_T = np.flatnonzero(batch.attention_BS)
        positions_M = np.searchsorted(packed_T, positions_M)
        ids_BS = ids_BS.reshape(1, -1)[:, packed_T]
        lengths = batch.attention_BS.sum(1).tolist()
        if static:
            ids_BS, lengths = _static_row(ids_BS, lengths, batch)
        layout = Packing.of(lengths, compute.device, kernel, longest=batch.ids_BS.shape[1])
    else:
        # Full rows go without a mask, which keeps a GPU from its fastest attention: at most a second graph a shape.
        layout = None if batch.attention_BS.all() else compute.move(batch.attention_BS)
    if static:
        positions_M, labels_M = _static_labels(positions_M, labels_M, batch.ids_BS.shape)
    return compute.move(ids_BS).long(), layout, compute.move(positions_M), compute.move(labels_M)


def packing_kernel(
    batch: MaskedBatch, compute: Compute, *, static: bool, packed_by: Sequence[Kernel]
) -> Kernel | None:
    """What computes attention in a batch's packed rows; None if they stay padded.

    Raises:
        CmgemsError: as for ``loss_inputs``.
    """
    if compute.packing == "off":
        return None
    if compute.packing == "on" and not packed_by:
        raise CmgemsError(
            "no packed rows for this model",
            where="compute.packing",
            why="its encoder takes padded rows only",
            fix="set compute.packing=off",
        )
    padding = 1 - batch.attention_BS.mean()
    if compute.device.type == "cpu":
        worth = compute.packing == "on" or (padding > WORTH_PACKING and not compute.compiled)
        return "each" if worth and "each" in packed_by else None
    if "flash" in packed_by and compute.flash:
        # A mask costs more than packing, however few tokens it hides. A graph stays with the padded rows it has.
        worth = compute.packing == "on" or (padding > 0 and compute.cuda_graphs != "on")
        return "flash" if worth else None
    if compute.packing == "on" and not compute.compiled:
        raise CmgemsError(
            "no packed rows for this model without torch.compile on a GPU",
            where="compute.packing",
            why="flex_attention would keep every pair of tokens of a row",
            fix="set compute.compile=on or compute.packing=off",
        )
    return "flex" if compute.packing == "on" and static else None


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
    """Padding at the end of a packed row, as separate sequences, none longer than the batch's rows.

    Sequences of no tokens follow, so that there are as many in every batch of this shape.
    """
    padding_id = int(batch.ids_BS[~batch.attention_BS][0]) if not batch.attention_BS.all() else 0
    unit = max(1, round(TOKENS_SHARE * batch.ids_BS.size))
    padding = -ids_1T.shape[1] % unit
    width = batch.ids_BS.shape[1]
    more = [min(width, max(0, padding - first)) for first in range(0, unit, width)]
    return np.pad(ids_1T, ((0, 0), (0, padding)), constant_values=padding_id), lengths + more
