"""Which attention kernels a GPU may choose from; a tensor without data stands for one on a GPU."""

import pytest
import torch
from torch.backends import cuda

import cmgems.models.dot_product as dot_product


@pytest.mark.parametrize(
    ("mask", "cudnn", "dtype"),
    [
        (None, True, None),
        (torch.ones(2, 1, 1, 8, dtype=torch.bool, device="meta"), False, torch.bool),
        (torch.zeros(1, 2, 8, 8, device="meta"), False, torch.bfloat16),
    ],
    ids=["no mask", "padding", "ALiBi in float32"],
)
def test_no_cudnn_with_a_mask(monkeypatch, mask, cudnn, dtype):
    seen = []

    def attention(query, key, value, *, attn_mask, dropout_p):
        seen.append((cuda.cudnn_sdp_enabled(), None if attn_mask is None else attn_mask.dtype))
        return query

    monkeypatch.setattr(dot_product, "scaled_dot_product_attention", attention)
    before = cuda.cudnn_sdp_enabled()
    cuda.enable_cudnn_sdp(True)
    heads = tuple(torch.empty(2, 2, 8, 4, dtype=torch.bfloat16, device="meta") for _ in range(3))
    dot_product.attend_heads(heads, mask, 0.1)
    assert seen == [(cudnn, dtype)]
    assert cuda.cudnn_sdp_enabled()
    cuda.enable_cudnn_sdp(before)
