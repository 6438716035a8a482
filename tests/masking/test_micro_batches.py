from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmgems.masking import MaskedBatch, micro_batches, never_empty

PAD = 0


def batch_of(lengths: list[int], width: int, seed: int = 0) -> MaskedBatch:
    """Rows of different tokens, about a third of them masked."""
    rng = np.random.default_rng(seed)
    attention_BS = np.arange(width) < np.array(lengths)[:, None]
    ids_BS = np.where(attention_BS, 1 + np.arange(attention_BS.size).reshape(attention_BS.shape), PAD)
    positions_M = np.flatnonzero(attention_BS & (rng.random(attention_BS.shape) < 0.3))
    return MaskedBatch(
        ids_BS.astype(np.int32), attention_BS, positions_M, ids_BS.ravel()[positions_M], "uniform"
    )


def rows_of(batches: list[MaskedBatch]) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The tokens of each row and which of them are masked, by their labels."""
    found = []
    for batch in batches:
        masked_BS = np.zeros(batch.ids_BS.shape, np.int64)
        masked_BS.ravel()[batch.positions_M] = batch.labels_M
        for ids_S, attention_S, masked_S in zip(batch.ids_BS, batch.attention_BS, masked_BS, strict=True):
            assert (ids_S[~attention_S] == PAD).all()
            found.append((tuple(ids_S[attention_S].tolist()), tuple(masked_S[attention_S].tolist())))
    assert len(set(found)) == len(found)
    return set(found)


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    count=st.integers(1, 40),
    multiple=st.sampled_from([1, 8, 64]),
)
def test_the_same_rows_and_masks_however_they_are_cut(lengths: list[int], count: int, multiple: int) -> None:
    batch = batch_of(lengths, 64)
    parts = micro_batches(batch, count, 40, multiple)
    assert rows_of(parts) == rows_of([batch])
    heights = [len(part.ids_BS) for part in parts]
    assert len(heights) == count
    assert max(heights) - min(heights) <= 1
    for part in parts:
        lengths_B = part.attention_BS.sum(1)
        if not len(lengths_B):
            continue
        rounded = -(-lengths_B.max() // multiple) * multiple
        assert part.ids_BS.shape[1] == (40 if lengths_B.min() == 40 else rounded)


def test_rows_of_full_length_need_no_mask() -> None:
    """A tenth of the rows is short: all others are cut to their length, which leaves no padding."""
    parts = micro_batches(batch_of([507] * 9 + [100], 512), 2, 507, 64)
    assert [part.ids_BS.shape for part in parts] == [(5, 507), (5, 512)]
    assert parts[0].attention_BS.all()
    assert not parts[1].attention_BS.all()


def test_a_part_without_rows_gets_one_with_nothing_to_guess() -> None:
    full, empty = micro_batches(batch_of([40], 64), 2, 40, 8)
    assert never_empty(full) is full
    assert empty.ids_BS.shape == (0, 40)
    filled = never_empty(empty)
    assert filled.ids_BS.shape == filled.attention_BS.shape == full.ids_BS.shape
    assert filled.attention_BS.all()
    assert not len(filled.positions_M)
    assert not len(filled.labels_M)
