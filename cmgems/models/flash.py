"""Attention of sequences that lie side by side, each to itself alone, by the FlashAttention kernel in PyTorch.

``torch.nn.attention.varlen`` and nested tensors call the same operator; the former has no dropout and came with
PyTorch 2.10, the latter wants the whole model written for nested tensors.

Shape suffixes: T tokens of all sequences, N sequences, H heads, K head size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cmgems.errors import CmgemsError
from cmgems.models.dot_product import Heads

MULTIPLE, LARGEST = 8, 256  # of head sizes
_flash_attention = torch.ops.aten._flash_attention_forward


def has_flash(device: torch.device) -> bool:
    """Whether the kernel runs there: NVIDIA's GPUs since Ampere (compute capability 8)."""
    if device.type != "cuda" or torch.version.hip is not None:
        return False
    return torch.cuda.get_device_capability(device)[0] >= 8


def attend_side_by_side(
    qkv: Heads, starts_N: Tensor, longest: int, dropout_p: float, reach: int | None = None
) -> Tensor:
    """softmax(q k^T / sqrt(K)) v within each sequence (arXiv 2307.08691).

    Args:
        qkv: Queries, keys and values, 1HTK each, bf16, on a GPU that ``has_flash``.
        starts_N: int32, where each sequence starts, and the end of the last; equal numbers for an empty one.
        longest: Tokens of the longest sequence, at most.
        dropout_p: Share of the probabilities dropped.
        reach: How many tokens away a token may look at most; None for anywhere in its sequence.

    Returns:
        attended_1HTK.

    Raises:
        CmgemsError: if heads are larger than 256.
    """
    size = qkv[0].shape[-1]
    if size > LARGEST:
        raise CmgemsError(
            f"no packed rows with heads of {size} on a GPU",
            where="compute.packing",
            why=f"FlashAttention takes {LARGEST} at most",
            fix="set compute.packing=off or raise model.heads",
        )
    q_THK, k_THK, v_THK = (F.pad(x_1HTK[0].transpose(0, 1), (0, -size % MULTIPLE)) for x_1HTK in qkv)
    attended_THK: Tensor = _flash_attention(
        q_THK,
        k_THK,
        v_THK,
        cum_seq_q=starts_N,
        cum_seq_k=starts_N,
        max_q=longest,
        max_k=longest,
        dropout_p=dropout_p,
        is_causal=False,
        return_debug_mask=False,
        scale=size**-0.5,
        window_size_left=reach,
        window_size_right=reach,
    )[0]
    return attended_THK[..., :size].transpose(0, 1)[None]
