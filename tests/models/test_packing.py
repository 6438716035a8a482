"""Packed attention against one masked softmax over all pairs of tokens."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.models.packing import Packing, alibi_bias, attend_packed, near

CPU = torch.device("cpu")


def reference(qkv, packing, slopes_H):
    q_1HTK, k_1HTK, v_1HTK = qkv
    scores_1HTT = q_1HTK @ k_1HTK.transpose(-1, -2) / q_1HTK.shape[-1] ** 0.5
    if slopes_H is not None:
        scores_1HTT = scores_1HTT + alibi_bias(slopes_H, q_1HTK.shape[2])
    strangers_TT = packing.sequences_T[:, None] != packing.sequences_T
    if packing.reach is not None:
        strangers_TT = strangers_TT | ~near(q_1HTK.shape[2], packing.reach, CPU)
    return scores_1HTT.masked_fill(strangers_TT, -torch.inf).softmax(-1) @ v_1HTK


@settings(deadline=None, max_examples=12)
@given(
    lengths=st.lists(st.integers(0, 300), min_size=1, max_size=6).filter(any),
    alibi=st.booleans(),
    reach=st.none() | st.integers(0, 40),
    kernel=st.sampled_from(["flex", "each"]),
    seed=st.integers(0, 2**32),
)
def test_every_sequence_attends_to_itself_alone(lengths, alibi, reach, kernel, seed):
    generator = torch.Generator().manual_seed(seed)
    qkv = tuple(torch.randn(3, 1, 2, sum(lengths), 16, generator=generator))
    slopes_H = torch.tensor([0.5, 0.25]) if alibi else None
    packing = Packing.of(lengths, CPU, kernel)
    if alibi:
        packing = packing.with_alibi(slopes_H)
    elif reach is not None:
        packing = packing.within(reach)
    expected = reference(qkv, packing, slopes_H)
    torch.testing.assert_close(attend_packed(qkv, packing, 0.0), expected, atol=1e-5, rtol=0)


@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any))
def test_positions_start_anew_and_means_are_of_the_own_sequence(lengths):
    packing = Packing.of(lengths, CPU)
    expected = [position for length in lengths for position in range(length)]
    assert packing.positions_1T.tolist() == [expected]
    means_1T = packing.mean_of_sequence(packing.positions_1T[0].float())
    torch.testing.assert_close(means_1T[0], torch.tensor([(n - 1) / 2 for n in lengths for _ in range(n)]))


def test_flex_attention_refuses_dropout():
    qkv = tuple(torch.randn(3, 1, 2, 7, 16))
    with pytest.raises(CmgemsError, match="no attention dropout"):
        attend_packed(qkv, Packing.of([3, 4], CPU, "flex"), 0.1)


def test_dropout_of_the_probabilities_one_sequence_at_a_time():
    torch.manual_seed(0)
    q_1HTK, k_1HTK = torch.zeros(2, 1, 1, 96, 1)
    attended = attend_packed((q_1HTK, k_1HTK, torch.ones(1, 1, 96, 1)), Packing.of([64, 32], CPU), 0.25)
    kept = attended[0, 0, :64, 0] * 0.75 * 64
    torch.testing.assert_close(kept, kept.round(), atol=1e-4, rtol=0)
    assert 0.7 < kept.mean() / 64 < 0.8
