"""The Nucleotide Transformers (doi 10.1038/s41592-024-02523-z), v1 and v2, over 6-mers side by side.

Pre-norm encoders after ESM-1b (doi 10.1073/pnas.2016239118) with a LayerNorm at the end and a decoder of their own.
v1 learns positions, uses erf GELU and scales embeddings for the share of masked tokens. v2 rotates queries and keys
(RoPE, arXiv 2104.09864), and its feed-forward layer has a SiLU gate (arXiv 2002.05202) and no bias.

Shape suffixes: B batch, S tokens in a padded row, D hidden, F feed-forward width, H heads, K head size, C outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models.attention import (
    NO_TRACE,
    ROTARY_BASE,
    Encoder,
    Trace,
    attend,
    key_mask,
    rotary_frequencies,
    rotary_tables,
    rotate,
    split_heads,
    token_positions,
)
from cmgems.models.base import (
    MODELS,
    Head,
    Layout,
    apply_key_table,
    check_sizes,
    huggingface_head,
    huggingface_sizes,
    read_huggingface_sizes,
    reverse_key_table,
)
from cmgems.models.dropout import Dropout
from cmgems.models.heads import Classifier, MaskedLM, TokenClassificationHead, new_classifier, new_masked_lm
from cmgems.models.packing import Packing

# ESM chooses 15 % of the tokens and writes <mask> over 80 % of those.
TRAINING_MASK_SHARE = 0.15 * 0.8


@dataclass(frozen=True)
class NTConfig(ABC):
    """What v1 and v2 have in common; the defaults are those of the 500M models of v1.

    Args:
        vocab_size: Rows of the token embedding; recipes set it to the tokenizer's.
        layers: Transformer layers.
        hidden: Width D of the hidden states; a multiple of ``heads``.
        heads: Attention heads.
        ffn: Width F of the feed-forward layer; a gated one's first matrix is twice as wide.
        max_positions: The longest row of tokens, <cls> included.
        hidden_dropout: Dropout after each sub-layer and in the classifier.
        attention_dropout: Dropout on the attention weights.
        layer_norm_eps: Epsilon of every LayerNorm.
        pad_id: The id of <pad>; its embedding starts at zero and is not trained as an input.

    Raises:
        CmgemsError: if a size or dropout is out of range, or ``hidden`` is not a multiple of ``heads``.
    """

    vocab_size: int = 4105
    layers: int = 24
    hidden: int = 1280
    heads: int = 20
    ffn: int = 5120
    max_positions: int = 1000
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    layer_norm_eps: float = 1e-12
    pad_id: int = 1

    def __post_init__(self) -> None:
        check_sizes(self)

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

    @abstractmethod
    def encoder(self) -> Encoder:
        """An encoder of this version."""

    def masked_lm(self) -> MaskedLM:
        """A freshly initialised masked language model."""
        return new_masked_lm(self.encoder(), self, tied=False)

    def classifier(self, num_labels: int) -> Classifier:
        """A freshly initialised sequence classifier."""
        return new_classifier(self.encoder(), self, num_labels, NTClassificationHead)

    def token_classifier(self, num_labels: int) -> Classifier:
        """A freshly initialised classifier of every token."""
        return new_classifier(self.encoder(), self, num_labels, TokenClassificationHead)


@dataclass(frozen=True)
class NTv1Config(NTConfig):
    """Sizes of a Nucleotide Transformer v1. Positions are counted over the tokens that are not <pad>.

    Args:
        mask_id: The id of <mask>.
        token_dropout: Whether the embeddings of <mask> are zeroed and all others scaled by (1 - 0.12) / (1 - share of
            <mask> in the row), so that their mean does not depend on how much is masked.
    """

    family: ClassVar[str] = "nt_v1"
    plain_transformers: ClassVar[bool] = True

    mask_id: int = 2
    token_dropout: bool = True

    def encoder(self) -> Encoder:
        """Learned positions, erf GELU."""
        return NTv1Encoder(self)

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The sizes in a ``config.json`` of the ESM classes with learned positions; None if it is another's."""
        if info.get("model_type") != "esm" or info.get("position_embedding_type") != "absolute":
            return None
        mask_id, token_dropout = info["mask_token_id"], info.get("token_dropout", False)
        return cls._read(info, mask_id=mask_id, token_dropout=token_dropout)

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """``config.json`` of the ``EsmFor...`` class for ``head``, without labels."""
        return self._huggingface_sizes(head) | {
            "model_type": "esm",
            "position_embedding_type": "absolute",
            "token_dropout": self.token_dropout,
            "mask_token_id": self.mask_id,
        }

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under the names of the Hugging Face ESM classes.

        Those classes also predict contacts in proteins, which DNA has no use for; those weights are written as zeros,
        so that none is missing.
        """
        contacts = {
            "esm.contact_head.regression.weight": torch.zeros(1, self.layers * self.heads),
            "esm.contact_head.regression.bias": torch.zeros(1),
        }
        return apply_key_table(NT_KEYS | POSITION_KEYS, state) | contacts

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a Hugging Face ESM checkpoint under our names, without those for contacts.

        Raises:
            CheckpointError: if a tensor is unknown.
        """
        kept = {name: tensor for name, tensor in state.items() if name not in UNUSED_TENSORS}
        return reverse_key_table(NT_KEYS | POSITION_KEYS, kept)


@dataclass(frozen=True)
class NTv2Config(NTConfig):
    """Sizes of a Nucleotide Transformer v2; the defaults are those of the 500M model."""

    family: ClassVar[str] = "nt_v2"
    plain_transformers: ClassVar[bool] = False

    vocab_size: int = 4107
    layers: int = 29
    hidden: int = 1024
    heads: int = 16
    ffn: int = 4096
    max_positions: int = 2048

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden // self.heads % 2:
            raise CmgemsError(
                "hidden must be an even multiple of heads",
                where="model",
                why=f"rotary positions take pairs, hidden is {self.hidden}, heads is {self.heads}",
                fix="change one of them",
            )

    def encoder(self) -> Encoder:
        """Rotary positions, SiLU-gated feed-forward layers."""
        return NTv2Encoder(self)

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The sizes in the published ``config.json``, or ours; None if it is another family's."""
        # ESM-2, of proteins, has rotary positions too, but biases everywhere.
        if info.get("position_embedding_type") != "rotary" or info.get("add_bias_fnn", True):
            return None
        return cls._read(info)

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """``config.json`` without labels. Its model type makes plain transformers refuse it, not misread it as ESM."""
        return self._huggingface_sizes(head) | {
            "model_type": self.family,
            "position_embedding_type": "rotary",
            "add_bias_fnn": False,
        }

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under the names of the published checkpoints; plain transformers has no class for them."""
        return apply_key_table(NT_KEYS, state)

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a published checkpoint under our names, without those that play no part.

        Raises:
            CheckpointError: if a tensor is unknown, or the rotary frequencies are not ours.
        """
        kept: dict[str, Tensor] = {}
        for name, tensor in state.items():
            if name.endswith("rotary_embeddings.inv_freq"):
                self._check_frequencies(name, tensor)
            elif name not in UNUSED_TENSORS | {"esm.embeddings.position_embeddings.weight"}:
                kept[name] = tensor
        return reverse_key_table(NT_KEYS, kept)

    def _check_frequencies(self, name: str, frequencies: Tensor) -> None:
        ours = rotary_frequencies(self.hidden // self.heads, frequencies.device)
        # Loose enough for checkpoints in half precision.
        if frequencies.shape != ours.shape or not torch.allclose(frequencies.float(), ours, rtol=0.01):
            raise CheckpointError(
                "other rotary frequencies", where=name, why=f"ours have base {ROTARY_BASE:.0f}"
            )


class NTLayer(nn.Module):
    """LayerNorm and self-attention, LayerNorm and feed-forward, each added to what it was given."""

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
            mask: As :func:`attend` takes it.
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


class NTv1Encoder(Encoder):
    """Token and learned position embeddings, a stack of :class:`NTLayer`, a LayerNorm."""

    packs = True

    def __init__(self, config: NTv1Config) -> None:
        super().__init__()
        self.pad_id = config.pad_id
        self.mask_id = config.mask_id
        self.token_dropout = config.token_dropout
        self.word = nn.Embedding(config.vocab_size, config.hidden, padding_idx=config.pad_id)
        # Row pad_id is that of <pad>; the first token has the next one.
        rows = config.max_positions + config.pad_id + 1
        self.position = nn.Embedding(rows, config.hidden, padding_idx=config.pad_id)
        self.layers = nn.ModuleList(NTLayer(config, gated=False) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)

    def forward(self, ids_BS: Tensor, layout: Layout = None, trace: Trace = NO_TRACE) -> Tensor:
        """Hidden states after the last layer and LayerNorm.

        Args:
            ids_BS: Token ids, int64; S at most ``max_positions``.
            layout: attention_BS (bool, True at real tokens) of padded rows, the packing of a packed one, None when
                every token is real (the fast case).
            trace: Collects what :meth:`outputs` returns besides.

        Returns:
            hidden_BSD in the dtype of the weights (or of autocast).
        """
        x_BSD: Tensor = self.word(ids_BS)
        if self.token_dropout:
            x_BSD = self.drop_masked(x_BSD, ids_BS, layout)
        counted_BS = ids_BS != self.pad_id
        numbers_BS = layout.positions_1T + 1 if isinstance(layout, Packing) else counted_BS.cumsum(1)
        x_BSD = x_BSD + self.position(numbers_BS * counted_BS + self.pad_id)
        mask = key_mask(layout)
        for layer in self.layers:
            trace.layer_input(x_BSD)
            x_BSD = self.through(layer, x_BSD, mask, None, trace)
        out_BSD: Tensor = self.norm(x_BSD)
        return out_BSD

    def drop_masked(self, x_BSD: Tensor, ids_BS: Tensor, layout: Layout) -> Tensor:
        """Embeddings with those of <mask> zeroed and the others scaled up for it."""
        masked_BS = ids_BS == self.mask_id
        if isinstance(layout, Packing):
            share_BS = layout.mean_of_sequence(masked_BS[0].float())
        else:
            real_B1 = ids_BS.shape[1] if layout is None else layout.sum(1, keepdim=True)
            share_BS = masked_BS.sum(1, keepdim=True) / real_B1
        scale_BS = (1 - TRAINING_MASK_SHARE) / (1 - share_BS)
        return (x_BSD.masked_fill(masked_BS[..., None], 0.0) * scale_BS[..., None]).to(x_BSD.dtype)


class NTv2Encoder(Encoder):
    """Token embeddings, a stack of :class:`NTLayer` with rotary positions, a LayerNorm."""

    packs = True

    def __init__(self, config: NTv2Config) -> None:
        super().__init__()
        self.head_size = config.hidden // config.heads
        self.word = nn.Embedding(config.vocab_size, config.hidden, padding_idx=config.pad_id)
        self.layers = nn.ModuleList(NTLayer(config, gated=True) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)

    def forward(self, ids_BS: Tensor, layout: Layout = None, trace: Trace = NO_TRACE) -> Tensor:
        """Hidden states after the last layer and LayerNorm; arguments as for :meth:`NTv1Encoder.forward`, any S."""
        x_BSD: Tensor = self.word(ids_BS)
        mask = key_mask(layout)
        rotation_SK = rotary_tables(token_positions(ids_BS, layout), self.head_size)
        for layer in self.layers:
            trace.layer_input(x_BSD)
            x_BSD = self.through(layer, x_BSD, mask, rotation_SK, trace)
        out_BSD: Tensor = self.norm(x_BSD)
        return out_BSD


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


# A plain parameter ("head.bias") is a tensor of the module before its last dot, like any other. Sequence and token
# classifiers both call their last layer "classifier", with and without a part behind it, so ours differ too.
NT_KEYS: dict[str, tuple[str, ...]] = {
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
POSITION_KEYS = {"encoder.position": ("esm.embeddings.position_embeddings",)}

# The predictor of contacts, and numbers that follow from the config.
UNUSED_TENSORS = {
    "esm.contact_head.regression.weight",
    "esm.contact_head.regression.bias",
    "esm.embeddings.position_ids",
}

MODELS.add("nt_500m", NTv1Config())
MODELS.add("nt_2b5", NTv1Config(layers=32, hidden=2560, heads=20, ffn=10240))
MODELS.add("nt_tiny", NTv1Config(layers=2, hidden=32, heads=4, ffn=64))
MODELS.add("nt_v2_50m", NTv2Config(layers=12, hidden=512, ffn=2048))
MODELS.add("nt_v2_100m", NTv2Config(layers=22, hidden=512, ffn=2048))
MODELS.add("nt_v2_250m", NTv2Config(layers=24, hidden=768, ffn=3072))
MODELS.add("nt_v2_500m", NTv2Config())
MODELS.add("nt_v2_tiny", NTv2Config(layers=2, hidden=32, heads=4, ffn=64))
