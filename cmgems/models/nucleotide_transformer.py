"""What the Nucleotide Transformers (doi 10.1038/s41592-024-02523-z) v1 and v2 have in common.

Pre-norm encoders after ESM-1b (doi 10.1073/pnas.2016239118) over 6-mers side by side, with a LayerNorm at the end and
a decoder of their own.

Shape suffixes: B batch, S tokens in a padded row, D hidden, F feed-forward width, H heads, K head size, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from cmgems.models.attention import NO_TRACE, Trace, attend, rotate, split_heads
from cmgems.models.base import Head, Layout
from cmgems.models.dropout import Dropout
from cmgems.models.published import KeyTable, huggingface_head, huggingface_sizes, read_huggingface_sizes
from cmgems.models.transformer import TransformerConfig


class NTClassificationHead(nn.Module):
    """ESM's: first token -> dropout -> dense + tanh -> dropout -> linear."""

    def __init__(self, hidden: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.pooler = nn.Linear(hidden, hidden)
        self.dropout = Dropout(dropout)
        self.projection = nn.Linear(hidden, num_labels)

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """Sequence logits_BC."""
        pooled_BD = torch.tanh(self.pooler(self.dropout(hidden_BSD[:, 0])))
        logits_BC: Tensor = self.projection(self.dropout(pooled_BD))
        return logits_BC


class NTLayer(nn.Module):
    """LayerNorm and self-attention, LayerNorm and feed-forward, each with a residual connection."""

    def __init__(self, config: NTConfig, *, gated: bool) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        self.gated = gated
        self.attention_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.attention_output = nn.Linear(config.hidden, config.hidden)
        self.ffn_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.ffn_input = nn.Linear(config.hidden, config.ffn * (2 if gated else 1), bias=not gated)
        self.ffn_output = nn.Linear(config.ffn, config.hidden, bias=not gated)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(
        self,
        x_BSD: Tensor,
        mask: Layout,
        rotation_SK: tuple[Tensor, Tensor] | None = None,
        trace: Trace = NO_TRACE,
    ) -> Tensor:
        """hidden_BSD.

        Args:
            x_BSD: Hidden states.
            mask: As ``attend`` takes it.
            rotation_SK: Cosines and sines to rotate queries and keys by.
            trace: Collects attention probabilities.
        """
        q_BHSK, k_BHSK, v_BHSK = split_heads(self.qkv(self.attention_norm(x_BSD)), self.heads)
        if rotation_SK is not None:
            q_BHSK, k_BHSK = rotate(q_BHSK, *rotation_SK), rotate(k_BHSK, *rotation_SK)
        dropout_p = self.attention_dropout if self.training else 0.0
        attended_BSD = attend((q_BHSK, k_BHSK, v_BHSK), mask, dropout_p, trace)
        x_BSD = x_BSD + self.dropout(self.attention_output(attended_BSD))
        ffn_BSF = self.ffn_input(self.ffn_norm(x_BSD))
        if self.gated:
            activated_BSF, linear_BSF = ffn_BSF.chunk(2, dim=-1)
            ffn_BSF = silu(activated_BSF) * linear_BSF
        else:
            ffn_BSF = gelu(ffn_BSF)
        out_BSD: Tensor = x_BSD + self.dropout(self.ffn_output(ffn_BSF))
        return out_BSD


@dataclass(frozen=True)
class NTConfig(TransformerConfig):
    """Sizes of a Nucleotide Transformer; the defaults are those of the 500M models of v1.

    Args:
        pad_id: The id of <pad>; its embedding starts at zero and is not trained as an input.
    """

    encoder_prefix: ClassVar[str] = "esm"
    tied: ClassVar[bool] = False
    sequence_head: ClassVar[type[nn.Module]] = NTClassificationHead

    vocab_size: int = 4105
    layers: int = 24
    hidden: int = 1280
    heads: int = 20
    ffn: int = 5120
    max_positions: int = 1000
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    pad_id: int = 1

    @classmethod
    def _read(cls, info: Mapping[str, Any], **own: Any) -> Self:
        pad_id = info["pad_token_id"]
        return cls(
            max_positions=info["max_position_embeddings"] - pad_id - 1,
            **read_huggingface_sizes(info),
            pad_id=pad_id,
            **own,
        )

    def _huggingface_sizes(self, head: Head) -> dict[str, Any]:
        return (
            huggingface_head("Esm", head)
            | huggingface_sizes(self)
            | {
                "max_position_embeddings": self.max_positions + self.pad_id + 1,
                "emb_layer_norm_before": False,
                "initializer_range": 0.02,
                "pad_token_id": self.pad_id,
                "is_folding_model": False,
                "tie_word_embeddings": False,
            }
        )


def is_version_2(info: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` is of version 2. ESM-2, of proteins, is rotary too, but has biases everywhere."""
    return info.get("position_embedding_type") == "rotary" and info.get("add_bias_fnn") is False


# Sequence and token classifiers both call their last layer "classifier", with and without a part behind it, so ours
# differ too.
NT_KEYS: KeyTable = {
    "encoder.word": ("esm.embeddings.word_embeddings",),
    "encoder.layers.N.attention_norm": ("esm.encoder.layer.N.attention.LayerNorm",),
    "encoder.layers.N.qkv": (
        "esm.encoder.layer.N.attention.self.query",
        "esm.encoder.layer.N.attention.self.key",
        "esm.encoder.layer.N.attention.self.value",
    ),
    "encoder.layers.N.attention_output": ("esm.encoder.layer.N.attention.output.dense",),
    "encoder.layers.N.ffn_norm": ("esm.encoder.layer.N.LayerNorm",),
    "encoder.layers.N.ffn_input": ("esm.encoder.layer.N.intermediate.dense",),
    "encoder.layers.N.ffn_output": ("esm.encoder.layer.N.output.dense",),
    "encoder.norm": ("esm.encoder.emb_layer_norm_after",),
    "head.dense": ("lm_head.dense",),
    "head.norm": ("lm_head.layer_norm",),
    "head.decoder": ("lm_head.decoder",),
    "head": ("lm_head",),
    "head.pooler": ("classifier.dense",),
    "head.projection": ("classifier.out_proj",),
    "head.output": ("classifier",),
}

# The predictor of contacts, the pooler that ESM's own heads do without, and numbers that follow from the config.
UNUSED_TENSORS = {
    "esm.pooler.dense.weight",
    "esm.pooler.dense.bias",
    "esm.contact_head.regression.weight",
    "esm.contact_head.regression.bias",
    "esm.embeddings.position_ids",
}
