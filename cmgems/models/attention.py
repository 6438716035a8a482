"""Self-attention and rotary positions for all families, and the base class of their encoders.

Shape suffixes: B batch, S tokens in a padded row, D hidden, H heads, K head size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cmgems.models.base import EncoderOutputs, Layout
from cmgems.models.dot_product import Heads, attend_heads, attend_stepwise
from cmgems.models.packing import Kernel, Packing, attend_packed


@dataclass(frozen=True, eq=False)
class Trace:
    """Collects an encoder's intermediate results in the lists that are not None.

    Attributes:
        hidden_states: Receives what enters every layer.
        attentions: Receives every layer's attention probabilities, which the fused kernels do not keep.
    """

    hidden_states: list[Tensor] | None = None
    attentions: list[Tensor] | None = None

    def layer_input(self, hidden_BSD: Tensor) -> None:
        """Call it before every layer."""
        if self.hidden_states is not None:
            self.hidden_states.append(hidden_BSD)


NO_TRACE: Trace = Trace()
ROTARY_BASE = 10_000.0


class Encoder(nn.Module):
    """Base class of encoders, which implement ``encoder(ids_BS, layout, trace) -> hidden_BSD``.

    Attributes:
        word: The token embedding, which a masked LM may tie its decoder to.
        packed_by: What may compute its attention in a packed row. If nothing, ``layout`` is attention_BS or None.
        recompute: Keep only a layer's input for the backward pass and compute the rest again: a third more work, but
            memory does not grow with the width of a layer (arXiv 1604.06174).
    """

    packed_by: ClassVar[tuple[Kernel, ...]] = ()
    word: nn.Embedding
    recompute: bool = False

    def through(self, layer: nn.Module, x_BSD: Tensor, *more: object) -> Tensor:
        """``layer(x_BSD, *more)``."""
        if self.recompute and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(layer, x_BSD, *more, use_reentrant=False))
        return cast(Callable[..., Tensor], layer)(x_BSD, *more)

    def outputs(
        self,
        ids_BS: Tensor,
        attention_BS: Tensor | None = None,
        *,
        hidden_states: bool = False,
        attentions: bool = False,
    ) -> EncoderOutputs:
        """Hidden states of the last layer and, if asked for, of all layers, and the attention probabilities.

        Attentions take memory for B * H * S * S numbers a layer and rule out the fused kernels; do not compile this.

        Args:
            ids_BS: Token ids, int64.
            attention_BS: bool, True at real tokens; None when every token is real.
            hidden_states: Whether to keep those of every layer.
            attentions: Whether to keep the attention probabilities.
        """
        trace = Trace([] if hidden_states else None, [] if attentions else None)
        last_BSD: Tensor = self(ids_BS, attention_BS, trace)
        return EncoderOutputs(
            last_BSD,
            None if trace.hidden_states is None else (*trace.hidden_states, last_BSD),
            None if trace.attentions is None else tuple(trace.attentions),
        )


def attend(qkv: Heads, mask: Layout, dropout_p: float, trace: Trace = NO_TRACE) -> Tensor:
    """softmax(q k^T / sqrt(K) + mask) v, heads put side by side again.

    Args:
        qkv: Queries, keys and values, BHSK each.
        mask: Broadcastable to BHSS: bool, False where a query may not look, or numbers to add to the scores. For a
            packed row its packing.
        dropout_p: Share of the probabilities dropped.
        trace: May ask for the probabilities, which are then computed step by step, the softmax in float32.

    Returns:
        attended_BSD in the dtype of the values.
    """
    if isinstance(mask, Packing):
        attended_BHSK = attend_packed(qkv, mask, dropout_p)
    elif trace.attentions is None:
        attended_BHSK = attend_heads(qkv, mask, dropout_p)
    else:
        attended_BHSK, probabilities_BHSS = attend_stepwise(qkv, mask, dropout_p)
        trace.attentions.append(probabilities_BHSS)
    return attended_BHSK.transpose(1, 2).flatten(2)


def key_mask(layout: Layout) -> Layout:
    """``attend``'s mask for the rows of ``layout``: mask_B11S of padded ones, False at padding."""
    return layout[:, None, None, :] if isinstance(layout, Tensor) else layout


def token_positions(ids_BS: Tensor, layout: Layout) -> Tensor:
    """int64[S], the position of each token in its sequence, the same in every row."""
    if isinstance(layout, Packing):
        return layout.positions_1T[0]
    return torch.arange(ids_BS.shape[1], device=ids_BS.device)


def split_heads(qkv_BSF: Tensor, heads: int) -> Heads:
    """Queries, keys and values, BHSK each, of one fused projection that is 3 * D wide."""
    q_BHSK, k_BHSK, v_BHSK = qkv_BSF.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return q_BHSK, k_BHSK, v_BHSK


def rotary_frequencies(size: int, device: torch.device, base: float = ROTARY_BASE) -> Tensor:
    """float32[K / 2], radians from one token to the next: base^(-2i / K)."""
    return base ** (-torch.arange(0, size, 2, device=device, dtype=torch.float32) / size)


def rotary_tables(positions_S: Tensor, size: int, base: float = ROTARY_BASE) -> tuple[Tensor, Tensor]:
    """float32 cosines_SK and sines_SK of position times frequency; both halves of K have the same frequencies.

    Computed in every pass: as a buffer they would lose precision when the model is converted to bf16.
    """
    angles_SK = positions_S[:, None].float() * rotary_frequencies(size, positions_S.device, base).repeat(2)
    return angles_SK.cos(), angles_SK.sin()


def rotate(x_BHSK: Tensor, cosines_SK: Tensor, sines_SK: Tensor) -> Tensor:
    """Rotate (x_i, x_{i + K/2}) by the angle of their position and frequency, in float32."""
    first, second = x_BHSK.chunk(2, dim=-1)
    turned_BHSK = torch.cat([-second, first], dim=-1)
    return (x_BHSK * cosines_SK + turned_BHSK * sines_SK).to(x_BHSK.dtype)
