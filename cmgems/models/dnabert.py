"""The BERT family: DNABERT (doi 10.1093/bioinformatics/btab083) and LOGO as in GeneMask (arXiv 2307.15933).

LOGO's original size (doi 10.1093/nar/gkac326) embeds tokens in fewer dimensions and projects them up; each layer has
its own weights here.

A post-norm BERT encoder (arXiv 1810.04805) over k-mer tokens: learned positions, erf GELU, one fused
query-key-value matmul, and PyTorch's scaled_dot_product_attention, so it compiles without graph breaks.

Shape suffixes: B batch, S tokens in a padded row, D hidden, E embedding width, H heads, K head size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from torch.nn.functional import gelu

from cmgems.errors import CmgemsError
from cmgems.models.attention import NO_TRACE, Encoder, Trace, attend, key_mask, split_heads
from cmgems.models.base import MODELS, Head, Layout
from cmgems.models.dropout import Dropout
from cmgems.models.packing import KERNELS, Packing
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
class BertConfig(TransformerConfig):
    """Sizes of a BERT model; the defaults are DNABERT's.

    Args:
        pad_id: The id of [PAD]; its embedding starts at zero and is not trained as an input.
        embedding: Width E of the embeddings, projected to ``hidden``; None for ``hidden``, without projection.
    """

    family: ClassVar[str] = "bert"
    plain_transformers: ClassVar[bool] = True
    encoder_prefix: ClassVar[str] = "bert"

    pad_id: int = 0
    embedding: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding is not None and self.embedding < 1:
            raise CmgemsError("embedding must be positive", where="model", why=f"it is {self.embedding}")

    def encoder(self) -> Encoder:
        """Learned positions, erf GELU."""
        return BertEncoder(self)

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The sizes in a ``config.json`` of the BERT classes; None if it is another family's.

        Raises:
            CheckpointError: if it has a setting that BERT's encoder here does not compute.
        """
        # DNABERT-2 calls itself bert too.
        if info.get("model_type") != "bert" or "alibi_starting_size" in info:
            return None
        check_settings(
            info, position_embedding_type=("absolute",), type_vocab_size=(2,), alibi=(False,), rope_theta=()
        )
        return cls(
            max_positions=info["max_position_embeddings"],
            **read_huggingface_sizes(info),
            pad_id=info.get("pad_token_id", cls.pad_id),
        )

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """``config.json`` of the ``BertFor...`` class for ``head``, without labels.

        Raises:
            CmgemsError: if the embeddings are projected.
        """
        self._check_huggingface()
        return (
            huggingface_head("Bert", head)
            | huggingface_sizes(self)
            | {
                "model_type": "bert",
                "hidden_act": "gelu",
                "max_position_embeddings": self.max_positions,
                "type_vocab_size": 2,
                "initializer_range": 0.02,
                "pad_token_id": self.pad_id,
                "tie_word_embeddings": True,
            }
        )

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under the names of the Hugging Face BERT classes.

        Raises:
            CmgemsError: if the embeddings are projected.
        """
        self._check_huggingface()
        return to_published(HUGGINGFACE_KEYS, state)

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a Hugging Face BERT checkpoint under our names.

        Old spellings (``gamma``, ``beta``), the derived ``position_ids`` and the predictor of the next sentence are
        accepted; the decoder must be tied to the token embedding.

        Raises:
            CheckpointError: if a tensor is unknown, or the decoder is a weight of its own.
            CmgemsError: if the embeddings are projected.
        """
        self._check_huggingface()
        return from_published(HUGGINGFACE_KEYS, state, unused=UNUSED_TENSORS, tied=TIED_KEYS)

    def _check_huggingface(self) -> None:
        if self.embedding is not None:
            raise CmgemsError(
                "no Hugging Face class",
                where=f"model with {self.embedding} embedding dimensions",
                why="the BERT classes do not project embeddings",
                fix="load the model folder with cmgems.models.load_model instead",
            )


class BertLayer(nn.Module):
    """Self-attention and feed-forward, each followed by dropout, residual and LayerNorm."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.attention_output = nn.Linear(config.hidden, config.hidden)
        self.attention_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.ffn_input = nn.Linear(config.hidden, config.ffn)
        self.ffn_output = nn.Linear(config.ffn, config.hidden)
        self.ffn_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, x_BSD: Tensor, mask: Layout, trace: Trace = NO_TRACE) -> Tensor:
        """hidden_BSD; ``mask`` as ``attend`` takes it."""
        dropout_p = self.attention_dropout if self.training else 0.0
        attended_BSD = attend(split_heads(self.qkv(x_BSD), self.heads), mask, dropout_p, trace)
        x_BSD = self.attention_norm(x_BSD + self.dropout(self.attention_output(attended_BSD)))
        ffn_BSD = self.ffn_output(gelu(self.ffn_input(x_BSD)))
        out_BSD: Tensor = self.ffn_norm(x_BSD + self.dropout(ffn_BSD))
        return out_BSD


class BertEncoder(Encoder):
    """Embeddings and a stack of ``BertLayer``."""

    packed_by = KERNELS

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.embedding or config.hidden
        self.word = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_id)
        self.position = nn.Embedding(config.max_positions, width)
        # DNA models use segment 0 only; both rows are kept so that checkpoints convert exactly.
        self.token_type = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.project = nn.Identity() if config.embedding is None else nn.Linear(width, config.hidden)
        self.dropout = Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.layers))

    def forward(self, ids_BS: Tensor, layout: Layout = None, trace: Trace = NO_TRACE) -> Tensor:
        """Hidden states of the last layer.

        Args:
            ids_BS: Token ids, int64; S at most ``max_positions``.
            layout: attention_BS (bool, True at real tokens) of padded rows, the packing of a packed one, None when
                every token is real (the fast case).
            trace: Collects hidden states and attentions for ``outputs``.

        Returns:
            hidden_BSD in the dtype of the weights (or of autocast).
        """
        if isinstance(layout, Packing):
            position_SE = self.position(layout.positions_1T[0])
        else:
            position_SE = self.position.weight[: ids_BS.shape[1]]
        embedded_SE = position_SE + self.token_type.weight[0]
        x_BSD: Tensor = self.project(self.dropout(self.norm(self.word(ids_BS) + embedded_SE)))
        mask = key_mask(layout)
        for layer in self.layers:
            trace.layer_input(x_BSD)
            x_BSD = self.through(layer, x_BSD, mask, trace)
        return x_BSD


HUGGINGFACE_KEYS: KeyTable = {
    "encoder.word": ("bert.embeddings.word_embeddings",),
    "encoder.position": ("bert.embeddings.position_embeddings",),
    "encoder.token_type": ("bert.embeddings.token_type_embeddings",),
    "encoder.norm": ("bert.embeddings.LayerNorm",),
    "encoder.layers.N.qkv": (
        "bert.encoder.layer.N.attention.self.query",
        "bert.encoder.layer.N.attention.self.key",
        "bert.encoder.layer.N.attention.self.value",
    ),
    "encoder.layers.N.attention_output": ("bert.encoder.layer.N.attention.output.dense",),
    "encoder.layers.N.attention_norm": ("bert.encoder.layer.N.attention.output.LayerNorm",),
    "encoder.layers.N.ffn_input": ("bert.encoder.layer.N.intermediate.dense",),
    "encoder.layers.N.ffn_output": ("bert.encoder.layer.N.output.dense",),
    "encoder.layers.N.ffn_norm": ("bert.encoder.layer.N.output.LayerNorm",),
    "head.dense": ("cls.predictions.transform.dense",),
    "head.norm": ("cls.predictions.transform.LayerNorm",),
    "head": ("cls.predictions",),
    "head.pooler": ("bert.pooler.dense",),
    "head.output": ("classifier",),
}

# Numbers that follow from the config, and BERT's second pretraining task, which DNA models do without.
UNUSED_TENSORS = {
    "bert.embeddings.position_ids",
    "cls.seq_relationship.weight",
    "cls.seq_relationship.bias",
}

# Second names of tied tensors, in some checkpoints.
TIED_KEYS = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}

LOGO = BertConfig(layers=2, hidden=256, heads=8, ffn=3072, hidden_dropout=0.0, attention_dropout=0.0)

MODELS.add("dnabert", BertConfig())
MODELS.add("dnabert_tiny", BertConfig(layers=2, hidden=32, heads=4, ffn=64))
MODELS.add("logo", LOGO)
MODELS.add("logo_original", replace(LOGO, ffn=1024, embedding=128))
MODELS.add("logo_small", replace(LOGO, hidden=128, heads=4, ffn=512))
MODELS.add("logo_tiny", replace(LOGO, hidden=64, heads=4, ffn=128))
