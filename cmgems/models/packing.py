"""Sequences side by side in one row without padding, each attending to itself alone.

Shape suffixes: T tokens of all sequences, H heads, S tokens of one sequence, K head size; the batch size is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from cmgems.errors import CmgemsError
from cmgems.models.dot_product import Heads, attend_heads
from cmgems.models.flash import attend_side_by_side

# What computes attention in a packed row: FlashAttention, for bf16 on a GPU, without ALiBi; flex_attention, for
# compiled models on a GPU, without dropout; or, on a CPU, one sequence after the other.
Kernel = Literal["flash", "flex", "each"]
KERNELS: tuple[Kernel, ...] = ("flash", "flex", "each")

BLOCK = 128  # flex_attention's, in tokens


@dataclass(frozen=True, eq=False)
class Packing:
    """How sequences lie in a packed row.

    Attributes:
        positions_1T: int64, the position of each token in its sequence.
        sequences_T: int64, the number of each token's sequence.
        lengths: Tokens of each sequence, where one is taken after the other.
        starts_N: int32, where each sequence starts, and the end of the last, for FlashAttention.
        longest: Tokens of the longest sequence at most, for FlashAttention.
        blocks: Which tokens may attend to which, for flex_attention.
        slopes_H: ALiBi's, of the models that have it.
        reach: How many tokens away a token may look at most; None for anywhere in its sequence.
    """

    positions_1T: Tensor
    sequences_T: Tensor
    lengths: tuple[int, ...] = ()
    starts_N: Tensor | None = None
    longest: int = 0
    blocks: BlockMask | None = None
    slopes_H: Tensor | None = None
    reach: int | None = None

    def within(self, reach: int) -> Packing:
        """The same for layers in which a token looks at most ``reach`` tokens away."""
        return replace(self, reach=reach)

    def with_alibi(self, slopes_H: Tensor) -> Packing:
        """The same for a model whose scores fall by ``slopes_H`` from one token to the next."""
        return replace(self, slopes_H=slopes_H)

    @classmethod
    def of(
        cls, lengths: Sequence[int], device: torch.device, kernel: Kernel = "each", longest: int | None = None
    ) -> Packing:
        """The packing of sequences of ``lengths``, in their order.

        Args:
            lengths: Tokens of each; 0 is allowed.
            device: Where the tensors go.
            kernel: What is to compute attention. flex_attention has no backward pass on a CPU.
            longest: No sequence is longer; None for the longest's own length. A compiled model has a graph of each.
        """
        ends_N = np.cumsum(lengths)
        sequences_T = np.repeat(np.arange(len(lengths)), lengths)
        positions_T = np.arange(len(sequences_T)) - (ends_N - lengths)[sequences_T]
        packing = cls(to_device(positions_T[None], device), to_device(sequences_T, device))
        if kernel == "flash":
            starts_N = to_device(np.append(0, ends_N).astype(np.int32), device)
            return replace(packing, starts_N=starts_N, longest=longest or max(lengths))
        if kernel == "flex":
            return replace(packing, blocks=_blocks(sequences_T, packing.sequences_T))
        return replace(packing, lengths=tuple(int(length) for length in lengths if length))

    def mean_of_sequence(self, values_T: Tensor) -> Tensor:
        """For each token the mean of its sequence's values, 1T."""
        sums_T, counts_T = torch.zeros_like(values_T), torch.zeros_like(values_T)
        sums_T.index_add_(0, self.sequences_T, values_T)
        counts_T.index_add_(0, self.sequences_T, torch.ones_like(values_T))
        return (sums_T / counts_T)[self.sequences_T][None]


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """``array`` as a tensor on ``device``; the copy to a GPU does not wait for the GPU."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _blocks(sequences_T: np.ndarray, on_device: Tensor) -> BlockMask:
    """The blocks of keys that each block of queries attends to: from its first sequence to its last.

    Computed from the ends of the sequences; ``create_block_mask`` would go through all T * T pairs.
    """
    tokens = len(sequences_T)
    firsts_Q = np.arange(0, tokens, BLOCK)
    lasts_Q = np.minimum(firsts_Q + BLOCK, tokens) - 1
    low_Q = np.searchsorted(sequences_T, sequences_T[firsts_Q], "left") // BLOCK
    high_Q = (np.searchsorted(sequences_T, sequences_T[lasts_Q], "right") - 1) // BLOCK
    counts_Q = high_Q - low_Q + 1
    # Rows list their blocks first; what follows is not read.
    indices_QQ = (low_Q[:, None] + np.arange(len(firsts_Q))) % len(firsts_Q)

    def same_sequence(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return on_device[query] == on_device[key]

    def moved(array: np.ndarray) -> Tensor:
        return to_device(array.astype(np.int32)[None, None], on_device.device)

    return BlockMask.from_kv_blocks(
        moved(counts_Q),
        moved(indices_QQ),
        BLOCK_SIZE=BLOCK,
        mask_mod=same_sequence,
        seq_lengths=(tokens, tokens),
    )


def attend_packed(qkv: Heads, packing: Packing, dropout_p: float) -> Tensor:
    """softmax(q k^T / sqrt(K) - slope |i - j|) v within each sequence, the slope 0 without ALiBi.

    Args:
        qkv: Queries, keys and values, 1HTK each.
        packing: Where the sequences lie.
        dropout_p: Share of the probabilities dropped; 0 for flex_attention, which has no dropout.

    Returns:
        attended_1HTK.

    Raises:
        CmgemsError: if flex_attention is asked to drop probabilities.
    """
    if packing.starts_N is not None:
        return attend_side_by_side(qkv, packing.starts_N, packing.longest, dropout_p, packing.reach)
    if packing.blocks is not None:
        return _attend_in_blocks(qkv, packing.blocks, packing, dropout_p)
    mask_HSS = _mask(packing, qkv[0])
    alone = []
    for q_1HSK, k_1HSK, v_1HSK in zip(*(x.split(packing.lengths, dim=2) for x in qkv), strict=True):
        size = q_1HSK.shape[2]
        mask = None if mask_HSS is None else mask_HSS[:, :size, :size]
        alone.append(attend_heads((q_1HSK, k_1HSK, v_1HSK), mask, dropout_p))
    return torch.cat(alone, dim=2)


def _mask(packing: Packing, like: Tensor) -> Tensor | None:
    """``attend_heads``'s mask for the longest sequence; a shorter one's is its upper left corner."""
    longest = max(packing.lengths)
    if packing.slopes_H is not None:
        return alibi_bias(packing.slopes_H, longest).to(like.dtype)
    return None if packing.reach is None else near(longest, packing.reach, like.device)[None]


def near(tokens: int, reach: int, device: torch.device) -> Tensor:
    """bool SS: which tokens of a row are at most ``reach`` away from each other."""
    positions_S = torch.arange(tokens, device=device)
    return (positions_S[:, None] - positions_S).abs() <= reach


def _attend_in_blocks(qkv: Heads, blocks: BlockMask, packing: Packing, dropout_p: float) -> Tensor:
    if dropout_p:
        raise CmgemsError(
            "no attention dropout in packed rows of a model with ALiBi, or in fp32, on a GPU",
            where="compute.packing",
            why="flex_attention has no dropout",
            fix="set compute.packing=off or model.attention_dropout=0",
        )
    slopes_H, reach = packing.slopes_H, packing.reach
    if slopes_H is None and reach is None:
        return flex_attention(*qkv, block_mask=blocks)

    def modified(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = (query - key).abs()
        if slopes_H is not None:
            score = score - slopes_H[head] * distance
        return score if reach is None else torch.where(distance <= reach, score, -torch.inf)

    return flex_attention(*qkv, score_mod=modified, block_mask=blocks)


def alibi_bias(slopes_H: Tensor, tokens: int) -> Tensor:
    """bias_HSS: minus slope times distance, for rows of ``tokens`` (arXiv 2108.12409, in both directions)."""
    positions_S = torch.arange(tokens, device=slopes_H.device)
    distance_SS = (positions_S[:, None] - positions_S).abs()
    return -slopes_H[:, None, None] * distance_SS
