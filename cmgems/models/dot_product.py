"""softmax(q k^T / sqrt(K) + mask) v, in one kernel or step by step.

Shape suffixes: B batch, H heads, S tokens, K head size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from cmgems.models.dropout import dropout

Heads = tuple[Tensor, Tensor, Tensor]

# With a mask cuDNN, PyTorch's first choice on a Hopper GPU, may give gradients that are NaN, and misreads one that is
# not of the queries' dtype (pytorch issue 196678, pull request 191612).
WITH_A_MASK = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def attend_heads(qkv: Heads, mask: Tensor | None, dropout_p: float) -> Tensor:
    """attended_BHSK, computed in the fastest way.

    Args:
        qkv: Queries, keys and values, BHSK each.
        mask: Broadcastable to BHSS: bool, False where a query may not look, or numbers to add to the scores.
        dropout_p: Share of the probabilities dropped.
    """
    # On a CPU no fused kernel has dropout, and PyTorch's fallback draws a number for every probability.
    if dropout_p and qkv[0].device.type == "cpu" and not torch.compiler.is_compiling():
        return attend_stepwise(qkv, mask, dropout_p)[0]
    if mask is None or qkv[0].device.type == "cpu":
        return scaled_dot_product_attention(*qkv, attn_mask=mask, dropout_p=dropout_p)
    if mask.dtype != torch.bool:
        mask = mask.to(qkv[0].dtype)
    with sdpa_kernel(WITH_A_MASK):
        return scaled_dot_product_attention(*qkv, attn_mask=mask, dropout_p=dropout_p)


def attend_stepwise(qkv: Heads, mask: Tensor | None, dropout_p: float) -> tuple[Tensor, Tensor]:
    """(attended_BHSK, probabilities_BHSS before dropout, in float32); arguments as for ``attend_heads``."""
    q_BHSK, k_BHSK, v_BHSK = qkv
    scores_BHSS = (q_BHSK * q_BHSK.shape[-1] ** -0.5 @ k_BHSK.transpose(-1, -2)).float()
    if mask is not None and mask.dtype == torch.bool:
        scores_BHSS = scores_BHSS.masked_fill(~mask, -torch.inf)
    elif mask is not None:
        scores_BHSS = scores_BHSS + mask
    probabilities_BHSS = scores_BHSS.softmax(-1)
    return dropout(probabilities_BHSS, dropout_p).to(v_BHSK.dtype) @ v_BHSK, probabilities_BHSS
