"""Which tokens of a training window are soft-masked: repeats, written in lower case in the FASTA."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import GenomeStore
from cmgems.genome.kernels import soft_masked
from cmgems.pretraining.nodes import WindowBatch
from cmgems.tokenization import Tokenizer, TokenMap


class SoftMask:
    """The soft-masked stretches of a genome, seen as tokens.

    A token is soft-masked if the bases it stands for are (``TokenMap``): the middle one of an overlapping k-mer, else
    more than half of its bases.

    Args:
        store: Keeps the stretches.
        tokenizer: Makes the ids.

    Raises:
        CmgemsError: if the store does not keep them.
    """

    def __init__(self, store: GenomeStore, tokenizer: Tokenizer) -> None:
        if store.soft_masked_runs is None:
            raise CmgemsError(
                "the genome store does not keep which bases are soft-masked",
                where="masking.soft_mask",
                why=f"{store.folder} was built without --soft-mask",
                fix="build it again with --soft-mask, or leave out masking.soft_mask",
            )
        self._codes, self._borders = store.codes, store.soft_masked_runs.ravel()
        self._map = TokenMap(tokenizer)

    def tokens(self, windows: WindowBatch, ids_BS: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which known tokens of the windows are soft-masked, bool (B, S); ``ids_BS`` are theirs."""
        soft_BL = np.empty((len(ids_BS), int(windows.lengths_B.max())), np.bool_)
        soft_masked(self._codes, self._borders, windows.starts_B, windows.lengths_B, soft_BL)
        for b in [] if windows.turned_B is None else np.flatnonzero(windows.turned_B):
            window_L = soft_BL[b, : windows.lengths_B[b]]
            window_L[:] = window_L[::-1].copy()
        soft_BS = np.zeros(ids_BS.shape, np.bool_)
        if self._map.overlapping:
            k = self._map.tokenizer.k
            tokens = max(soft_BL.shape[1] - k + 1, 0)
            middle = (k - 1) // 2
            soft_BS[:, 1 : tokens + 1] = soft_BL[:, middle : middle + tokens]
            return soft_BS & self._map.known(ids_BS)
        for b in np.flatnonzero(soft_BL.any(1)):
            classes_L = soft_BL[b, : windows.lengths_B[b]].astype(np.int64)
            soft_BS[b] = self._map.labels(ids_BS[b], classes_L, classes=2) == 1
        return soft_BS & self._map.known(ids_BS)
