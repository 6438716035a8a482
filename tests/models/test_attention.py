"""The step-by-step attention against the fused one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from cmgems.models.attention import Trace, attend, rotary_tables, rotate, split_heads

MASKS = ["none", "bool", "bias"]


def inputs(seed, batch, heads, tokens, size):
    generator = torch.Generator().manual_seed(seed)
    qkv = tuple(torch.randn(3, batch, heads, tokens, size, generator=generator) * 2)
    allowed_B11S = torch.rand(batch, 1, 1, tokens, generator=generator) < 0.6
    allowed_B11S[..., 0] = True
    bias_1HSS = torch.randn(1, heads, tokens, tokens, generator=generator)
    masks = {
        "none": None,
        "bool": allowed_B11S,
        "bias": bias_1HSS.masked_fill(~allowed_B11S, -torch.inf),
    }
    return qkv, masks, allowed_B11S


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    batch=st.integers(1, 3),
    heads=st.integers(1, 4),
    tokens=st.integers(1, 9),
    size=st.integers(1, 8),
    kind=st.sampled_from(MASKS),
)
def test_probabilities_explain_what_the_fused_kernel_returns(seed, batch, heads, tokens, size, kind):
    qkv, masks, allowed_B11S = inputs(seed, batch, heads, tokens, size)
    trace = Trace(attentions=[])
    actual_BSD = attend(qkv, masks[kind], 0.0, trace)
    expected_BHSK = scaled_dot_product_attention(*qkv, attn_mask=masks[kind])
    torch.testing.assert_close(actual_BSD, expected_BHSK.transpose(1, 2).flatten(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(attend(qkv, masks[kind], 0.0), actual_BSD, atol=1e-5, rtol=0)

    (probabilities_BHSS,) = trace.attentions
    assert probabilities_BHSS.shape == (batch, heads, tokens, tokens)
    torch.testing.assert_close(probabilities_BHSS.sum(-1), torch.ones(batch, heads, tokens))
    if kind != "none":
        assert (probabilities_BHSS.masked_select(~allowed_B11S) == 0).all()


def test_probabilities_are_float32_whatever_the_model_computes_in():
    qkv, _, _ = inputs(0, 2, 2, 5, 4)
    trace = Trace(attentions=[])
    attended_BSD = attend(tuple(x.bfloat16() for x in qkv), None, 0.0, trace)
    assert (attended_BSD.dtype, trace.attentions[0].dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("trace", [Trace(), Trace(attentions=[])])
def test_dropout_acts_on_the_probabilities(trace):
    torch.manual_seed(0)
    qkv, _, _ = inputs(0, 1, 1, 64, 1)
    ones = torch.ones(1, 1, 64, 1)
    attended_BSD = attend((qkv[0] * 0, qkv[1], ones), None, 0.25, trace)
    # Each of 64 equal probabilities is dropped or divided by 0.75: their sum is a whole number of 64ths of 4/3.
    kept_BSD = attended_BSD * 0.75 * 64
    torch.testing.assert_close(kept_BSD, kept_BSD.round(), atol=1e-4, rtol=0)
    assert 0.7 < kept_BSD.mean() / 64 < 0.8
    assert kept_BSD.std() > 1


def test_heads_lie_side_by_side():
    qkv_BSF = torch.arange(2 * 3 * 12).view(2, 3, 12)
    q_BHSK, k_BHSK, v_BHSK = split_heads(qkv_BSF, 2)
    assert q_BHSK[1, 0, 2].tolist() == qkv_BSF[1, 2, 0:2].tolist()
    assert k_BHSK[1, 1, 2].tolist() == qkv_BSF[1, 2, 6:8].tolist()
    assert v_BHSK[0, 1, 0].tolist() == qkv_BSF[0, 0, 10:12].tolist()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32), pairs=st.integers(1, 8), shift=st.integers(0, 40), tokens=st.integers(1, 12)
)
def test_rotated_scores_depend_on_the_distance_only(seed, pairs, shift, tokens):
    generator = torch.Generator().manual_seed(seed)
    q_K, k_K = torch.randn(2, 2 * pairs, generator=generator)
    cosines_SK, sines_SK = rotary_tables(torch.arange(tokens + shift), 2 * pairs)

    def scores_of(start):
        window = slice(start, start + tokens)
        q_SK = rotate(q_K.expand(tokens, -1), cosines_SK[window], sines_SK[window])
        k_SK = rotate(k_K.expand(tokens, -1), cosines_SK[window], sines_SK[window])
        torch.testing.assert_close(q_SK.norm(dim=1), q_K.norm().expand(tokens))
        return q_SK @ k_SK.T

    torch.testing.assert_close(scores_of(0), scores_of(shift), atol=1e-4, rtol=0)
