"""DNABERT-2 (arXiv 2306.15006): a MosaicBERT (arXiv 2312.17482) over byte-pair tokens.

A post-norm BERT encoder without position embeddings: attention falls off linearly with the distance of two tokens
(ALiBi, arXiv 2108.12409, in both directions), and the feed-forward layer is gated (GEGLU, arXiv 2002.05202).

Shape suffixes: B batch, S tokens in a padded row, D hidden, F feed-forward width, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from cmgems.models.attention import NO_TRACE, Encoder, Trace, attend, split_heads
from cmgems.models.base import MODELS, Head, Layout
from cmgems.models.dropout import Dropout
from cmgems.models.packing import Packing, alibi_bias
from cmgems.models.published import (
    KeyTable,
    check_settings,
    from_published,
    huggingface_head,
    huggingface_sizes,
    read_huggingface_sizes,
    to_published,
)
from cmgems.models.transformer import TransformerConfig


@dataclass(frozen=True)
class DNABERT2Config(TransformerConfig):
    """Sizes of a DNABERT-2 model; the defaults are the published ones. The model itself takes rows of any length.

    Args:
        padding_row: The embedding that starts at zero and is not trained as an input. In the published model it is
            [UNK]'s, 0: its config never named [PAD], 3. Padding needs none, as no token attends to it.
    """

    family: ClassVar[str] = "dnabert2"
    plain_transformers: ClassVar[bool] = False
    encoder_prefix: ClassVar[str] = "bert"

    vocab_size: int = 4096
    attention_dropout: float = 0.0
    padding_row: int = 0

    def encoder(self) -> Encoder:
        """ALiBi, GELU-gated feed-forward layers."""
        return DNABERT2Encoder(self)

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The sizes in the published ``config.json``, or ours; None if it is another family's.

        Raises:
            CheckpointError: if it has a setting that the published model does not compute.
        """
        if "alibi_starting_size" not in info:
            return None
        # The published code never reads position_embedding_type.
        check_settings(info, type_vocab_size=(2,))
        return cls(
            max_positions=info["alibi_starting_size"],
            **read_huggingface_sizes(info),
            padding_row=info.get("pad_token_id", cls.padding_row),
        )

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """``config.json`` without labels. Its model type keeps plain transformers from misreading it as BERT."""
        return (
            huggingface_head("Bert", head)
            | huggingface_sizes(self)
            | {
                "model_type": self.family,
                "hidden_act": "gelu",
                "max_position_embeddings": self.max_positions,
                "alibi_starting_size": self.max_positions,
                "type_vocab_size": 2,
                "initializer_range": 0.02,
                "pad_token_id": self.padding_row,
            }
        )

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under the names of the published checkpoint; plain transformers has no class for them."""
        return to_published(PUBLISHED_KEYS, state)

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of the published checkpoint under our names.

        Raises:
            CheckpointError: if a tensor is unknown, or the decoder is a weight of its own.
        """
        return from_published(PUBLISHED_KEYS, state, tied=TIED_KEYS)


def alibi_slopes(heads: int) -> list[float]:
    """How much each head's scores decrease from one token to the next.

    For a power of two n: 2^(-8/n), 2^(-16/n), ..., 2^-8. Other numbers of heads take those of the next lower power n,
    then every other one of 2n, from the first.
    """
    n = 1 << (heads.bit_length() - 1)
    exponents = [8 * (h + 1) / n for h in range(n)] + [4 * (2 * h + 1) / n for h in range(heads - n)]
    return [2.0**-exponent for exponent in exponents]


class DNABERT2Layer(nn.Module):
    """Self-attention and gated feed-forward, each followed by residual and LayerNorm."""

    def __init__(self, config: DNABERT2Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.attention_output = nn.Linear(config.hidden, config.hidden)
        self.attention_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.ffn_input = nn.Linear(config.hidden, 2 * config.ffn, bias=False)
        self.ffn_output = nn.Linear(config.ffn, config.hidden)
        self.ffn_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, x_BSD: Tensor, mask: Layout, trace: Trace = NO_TRACE) -> Tensor:
        """hidden_BSD; ``mask`` as ``attend`` takes it, with ALiBi in it."""
        dropout_p = self.attention_dropout if self.training else 0.0
        attended_BSD = attend(split_heads(self.qkv(x_BSD), self.heads), mask, dropout_p, trace)
        x_BSD = self.attention_norm(x_BSD + self.dropout(self.attention_output(attended_BSD)))
        activated_BSF, linear_BSF = self.ffn_input(x_BSD).chunk(2, dim=-1)
        # MosaicBERT drops gated units; unlike BERT, it has no dropout after the second matrix.
        ffn_BSD = self.ffn_output(self.dropout(gelu(activated_BSF) * linear_BSF))
        out_BSD: Tensor = self.ffn_norm(x_BSD + ffn_BSD)
        return out_BSD


class DNABERT2Encoder(Encoder):
    """Embeddings and a stack of ``DNABERT2Layer``."""

    packed_by = ("flex", "each")  # PyTorch's FlashAttention has no backward pass with ALiBi

    def __init__(self, config: DNABERT2Config) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden, padding_idx=config.padding_row)
        # DNA models use segment 0 only; both rows are kept so that checkpoints convert exactly.
        self.token_type = nn.Embedding(2, config.hidden)
        self.norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(DNABERT2Layer(config) for _ in range(config.layers))
        self.slopes_H: Tensor
        self.register_buffer("slopes_H", torch.tensor(alibi_slopes(config.heads)), persistent=False)

    def reset_non_persistent_buffers(self) -> None:
        """Compute the slopes again, which no checkpoint has; for toolkits that make a model without memory first."""
        self.slopes_H = torch.tensor(alibi_slopes(len(self.slopes_H)), device=self.slopes_H.device)

    def forward(self, ids_BS: Tensor, layout: Layout = None, trace: Trace = NO_TRACE) -> Tensor:
        """Hidden states of the last layer.

        Args:
            ids_BS: Token ids, int64; any S.
            layout: attention_BS (bool, True at real tokens) of padded rows, the packing of a packed one, None when
                every token is real.
            trace: Collects hidden states and attentions for ``outputs``.

        Returns:
            hidden_BSD in the dtype of the weights (or of autocast).
        """
        x_BSD: Tensor = self.dropout(self.norm(self.word(ids_BS) + self.token_type.weight[0]))
        mask: Layout
        if isinstance(layout, Packing):
            mask = layout.with_alibi(self.slopes_H)
        else:
            mask = alibi_bias(self.slopes_H, ids_BS.shape[1])[None].to(x_BSD.dtype)
            if layout is not None:
                mask = mask.masked_fill(~layout[:, None, None, :], -torch.inf)
        for layer in self.layers:
            trace.layer_input(x_BSD)
            x_BSD = self.through(layer, x_BSD, mask, trace)
        return x_BSD


PUBLISHED_KEYS: KeyTable = {
    "encoder.word": ("bert.embeddings.word_embeddings",),
    "encoder.token_type": ("bert.embeddings.token_type_embeddings",),
    "encoder.norm": ("bert.embeddings.LayerNorm",),
    "encoder.layers.N.qkv": ("bert.encoder.layer.N.attention.self.Wqkv",),
    "encoder.layers.N.attention_output": ("bert.encoder.layer.N.attention.output.dense",),
    "encoder.layers.N.attention_norm": ("bert.encoder.layer.N.attention.output.LayerNorm",),
    "encoder.layers.N.ffn_input": ("bert.encoder.layer.N.mlp.gated_layers",),
    "encoder.layers.N.ffn_output": ("bert.encoder.layer.N.mlp.wo",),
    "encoder.layers.N.ffn_norm": ("bert.encoder.layer.N.mlp.layernorm",),
    "head.dense": ("cls.predictions.transform.dense",),
    "head.norm": ("cls.predictions.transform.LayerNorm",),
    "head": ("cls.predictions",),
    "head.pooler": ("bert.pooler.dense",),
    "head.output": ("classifier",),
}

# Second names of tied tensors.
TIED_KEYS = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}

MODELS.add("dnabert2", DNABERT2Config())
MODELS.add("dnabert2_tiny", DNABERT2Config(layers=2, hidden=32, heads=4, ffn=64))
