"""Soft-masked tokens are masked less often: by exactly the share asked for, and by whole spans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cmgems.config import load_config
from cmgems.errors import ConfigError
from cmgems.masking import STRATEGIES, MaskingConfig, kernels, mask_batch
from cmgems.masking.random import STREAM_SOFT_MASK, uniform
from cmgems.tokenization import KmerTokenizer
from tests.masking import reference
from tests.masking.common import random_ranks

TOKENIZER = KmerTokenizer(6)
RANKS = random_ranks(6, 0)


@given(
    masks=hnp.arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 40))),
    seed=st.integers(0, 2**63),
    first=st.integers(0, 2**40),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
@settings(max_examples=300, deadline=None)
def test_thinning_equals_the_reference(masks, seed, first, share):
    mask_BS, soft_BS = masks
    samples_B = np.arange(first, first + len(mask_BS), dtype=np.uint64)
    kept_BS = kernels.thin(mask_BS, soft_BS, np.uint64(seed), samples_B, share)
    draws_BS = uniform(seed, samples_B, STREAM_SOFT_MASK, mask_BS.shape[1])
    for b, mask_S in enumerate(mask_BS):
        expected = reference.thin(
            set(np.flatnonzero(mask_S).tolist()), soft_BS[b].tolist(), draws_BS[b].tolist(), share
        )
        assert set(np.flatnonzero(kept_BS[b]).tolist()) == expected
    last = kernels.thin(mask_BS[-1:], soft_BS[-1:], np.uint64(seed), samples_B[-1:], share)
    assert np.array_equal(last[0], kept_BS[-1])  # a row knows nothing of its batch


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_a_soft_masked_token_is_masked_a_tenth_as_often(name):
    """Under any strategy, and the others as if there were none."""
    rng = np.random.default_rng(1)
    rows = 1500
    codes_BL = rng.integers(0, 4, (rows, 300)).astype(np.uint8)
    ids_BS = TOKENIZER.encode_batch(codes_BL, np.full(rows, 300, np.int32), 297)
    soft_BS = np.zeros(ids_BS.shape, np.bool_)
    soft_BS[:, 60:200] = True
    masks = []
    for soft in (None, soft_BS):
        batch = mask_batch(
            ids_BS, np.arange(rows, dtype=np.uint64), RANKS, (name, STRATEGIES.get(name)),
            rate=0.15, seed=2, soft_BS=soft, soft_mask=0.1,
        )  # fmt: skip
        mask_BS = np.zeros(ids_BS.shape, np.bool_)
        mask_BS.flat[batch.positions_M] = True
        masks.append(mask_BS)
    plain_BS, thinned_BS = masks
    assert np.array_equal(thinned_BS[~soft_BS], plain_BS[~soft_BS])
    assert thinned_BS[soft_BS].sum() / plain_BS[soft_BS].sum() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_bad_shares_are_refused(share):
    with pytest.raises(ConfigError, match="`soft_mask` must be from 0 to 1"):
        load_config(MaskingConfig, None, ["curriculum=random_span", f"soft_mask={share}"])
