"""Fixtures shared by the tests of training."""

from __future__ import annotations

import numpy as np
import pytest

from cmgems.masking import MaskedBatch


@pytest.fixture
def batch_of():
    """``batch_of(rows, columns)``: a masked batch without padding."""

    def build(rows, columns, seed=0):
        rng = np.random.default_rng(seed)
        ids_BS = rng.integers(5, 4101, (rows, columns)).astype(np.int32)
        return MaskedBatch(
            ids_BS, np.ones((rows, columns), bool), np.arange(3), np.arange(3, dtype=np.int64) + 7, "genemask"
        )

    return build
