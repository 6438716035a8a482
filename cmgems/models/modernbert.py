"""ModernBERT (arXiv 2412.13663): pre-norm, rotary positions, GELU-gated feed-forward layers, no biases; of every three
layers two look at their neighbourhood only.

Shape suffixes: B batch, S tokens in a padded row, D hidden, F feed-forward width, K head size, C outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models.attention import (
    NO_TRACE,
    Encoder,
    Trace,
    attend,
    key_mask,
    rotary_tables,
    rotate,
    split_heads,
    token_positions,
)
from cmgems.models.base import MODELS, Head, Layout, Pool
from cmgems.models.dropout import Dropout
from cmgems.models.packing import KERNELS, Packing, near
from cmgems.models.published import KeyTable, check_settings, from_published, huggingface_head, to_published
from cmgems.models.transformer import TransformerConfig, init_weights

FULL, SLIDING = "full_attention", "sliding_attention"  # what transformers calls the two kinds of layers


class ModernBertHead(nn.Module):
    """dense -> GELU -> LayerNorm -> dropout -> linear, of every token."""

    def __init__(self, hidden: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden, eps=1e-5, bias=False)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden, num_labels)

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """Token logits_BSC."""
        logits_BSC: Tensor = self.output(self.dropout(self.norm(gelu(self.dense(hidden_BSD)))))
        return logits_BSC


class ModernBertSequenceHead(ModernBertHead):
    """The same of the first token."""

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """Sequence logits_BC."""
        return super().forward(hidden_BSD[:, 0])


@dataclass(frozen=True)
class ModernBertConfig(TransformerConfig):
    """Sizes of a ModernBERT; the defaults are the base model's.

    Args:
        pad_id: The id of [PAD]; its embedding starts at zero and is not trained as an input.
        window: Tokens that a local layer sees: half of them on each side.
        global_every: Every so many layers, from the first on, one sees all tokens.
        global_base: Base of the rotary frequencies in those layers.
        local_base: The same in the others.
    """

    family: ClassVar[str] = "modernbert"
    plain_transformers: ClassVar[bool] = True
    encoder_prefix: ClassVar[str] = "model"
    head_biases: ClassVar[bool] = False
    published_pools: ClassVar[tuple[Pool, ...]] = ("cls", "mean")
    sequence_head: ClassVar[type[nn.Module]] = ModernBertSequenceHead
    token_head: ClassVar[type[nn.Module]] = ModernBertHead

    layers: int = 22
    ffn: int = 1152
    max_positions: int = 8192
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    layer_norm_eps: float = 1e-5
    pad_id: int = 0
    window: int = 128
    global_every: int = 3
    global_base: float = 160_000.0
    local_base: float = 10_000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("window", "global_every"):
            if (value := getattr(self, name)) < 1:
                raise CmgemsError(f"{name} must be positive", where="model", why=f"it is {value}")
        self.check_rotary()

    def encoder(self) -> Encoder:
        """Rotary positions, gated feed-forward layers, local and global attention."""
        return ModernBertEncoder(self)

    def is_global(self, layer: int) -> bool:
        """Whether a layer, counted from 0, sees all tokens."""
        return layer % self.global_every == 0

    def initialise(self, model: nn.Module) -> None:
        """BERT's, with what is added to the hidden states smaller by the root of twice the layers (as in the paper)."""
        super().initialise(model)
        for layer in model.modules():
            if isinstance(layer, ModernBertLayer):
                for linear in (layer.attention_output, layer.ffn_output):
                    init_weights(linear, 0.02 / (2 * self.layers) ** 0.5)

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The sizes in a ``config.json`` of the ModernBert classes; None if it is another family's.

        Raises:
            CheckpointError: if it has a setting that is not computed here.
        """
        if info.get("model_type") != "modernbert":
            return None
        off = dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), (False,))
        activations = dict.fromkeys(("hidden_activation", "classifier_activation"), ("gelu",))
        check_settings(
            info, **off, **activations, decoder_bias=(True,), tie_word_embeddings=(True,), norm_eps=(1e-5,)
        )
        global_every, bases = _read_layers(info), _read_bases(info)
        return cls(
            vocab_size=info["vocab_size"],
            layers=info["num_hidden_layers"],
            hidden=info["hidden_size"],
            heads=info["num_attention_heads"],
            ffn=info["intermediate_size"],
            max_positions=info["max_position_embeddings"],
            hidden_dropout=info.get("mlp_dropout", 0.0),
            attention_dropout=info.get("attention_dropout", 0.0),
            pad_id=info.get("pad_token_id", cls.pad_id),
            pool=info.get("classifier_pooling", "cls"),
            window=info["local_attention"],
            global_every=global_every,
            global_base=bases[0],
            local_base=bases[1],
        )

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """``config.json`` of the ``ModernBertFor...`` class for ``head``, without labels."""
        kinds = [FULL if self.is_global(layer) else SLIDING for layer in range(self.layers)]
        bases = {FULL: self.global_base, SLIDING: self.local_base}
        dropouts = ("embedding_dropout", "mlp_dropout", "classifier_dropout")
        return huggingface_head("ModernBert", head) | {
            "model_type": "modernbert",
            "vocab_size": self.vocab_size,
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads,
            "intermediate_size": self.ffn,
            "max_position_embeddings": self.max_positions,
            "norm_eps": self.layer_norm_eps,
            "attention_dropout": self.attention_dropout,
            **dict.fromkeys(dropouts, self.hidden_dropout),
            "classifier_pooling": self.pool,
            "local_attention": self.window,
            "global_attn_every_n_layers": self.global_every,  # of transformers 4, as the next two
            "global_rope_theta": self.global_base,
            "local_rope_theta": self.local_base,
            "layer_types": kinds,
            "rope_parameters": {
                kind: {"rope_type": "default", "rope_theta": base} for kind, base in bases.items()
            },
            "pad_token_id": self.pad_id,
            **dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")),
            "tie_word_embeddings": True,
        }

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under the names of the ModernBert classes."""
        return to_published(KEYS, state)

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a checkpoint of the ModernBert classes under our names.

        Raises:
            CheckpointError: if a tensor is unknown, or the decoder is a weight of its own.
        """
        return from_published(KEYS, state, tied=TIED)


def _read_layers(info: Mapping[str, Any]) -> int:
    """Every how many layers one sees all tokens."""
    kinds = info.get("layer_types")
    if kinds is None:
        return int(info["global_attn_every_n_layers"])
    every = kinds.index(FULL, 1) if FULL in kinds[1:] else len(kinds)
    if kinds != [FULL if layer % every == 0 else SLIDING for layer in range(len(kinds))]:
        raise CheckpointError(
            "another model", why="its global layers are not every so many", fix="use another"
        )
    return int(every)


def _read_bases(info: Mapping[str, Any]) -> tuple[float, float]:
    """The bases of the rotary frequencies of global and of local layers."""
    of_kind = info.get("rope_parameters")
    if of_kind is None:
        return float(info["global_rope_theta"]), float(info["local_rope_theta"] or info["global_rope_theta"])
    for rope in of_kind.values():
        check_settings(rope, rope_type=("default",))
    return float(of_kind[FULL]["rope_theta"]), float(of_kind[SLIDING]["rope_theta"])


class ModernBertLayer(nn.Module):
    """LayerNorm and self-attention, LayerNorm and feed-forward, each with a residual connection.

    Args:
        config: Sizes.
        first: The first layer has no LayerNorm of its own: that of the embeddings is just before it.
    """

    def __init__(self, config: ModernBertConfig, *, first: bool) -> None:
        super().__init__()
        hidden, eps = config.hidden, config.layer_norm_eps
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        self.attention_norm = nn.Identity() if first else nn.LayerNorm(hidden, eps=eps, bias=False)
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.attention_output = nn.Linear(hidden, hidden, bias=False)
        self.ffn_norm = nn.LayerNorm(hidden, eps=eps, bias=False)
        self.ffn_input = nn.Linear(hidden, 2 * config.ffn, bias=False)
        self.ffn_output = nn.Linear(config.ffn, hidden, bias=False)
        self.dropout = Dropout(config.hidden_dropout)
        self.output_dropout = Dropout(config.attention_dropout)

    def forward(
        self, x_BSD: Tensor, mask: Layout, rotation_SK: tuple[Tensor, Tensor], trace: Trace = NO_TRACE
    ) -> Tensor:
        """hidden_BSD.

        Args:
            x_BSD: Hidden states.
            mask: As ``attend`` takes it.
            rotation_SK: Cosines and sines to rotate queries and keys by.
            trace: Collects attention probabilities.
        """
        q_BHSK, k_BHSK, v_BHSK = split_heads(self.qkv(self.attention_norm(x_BSD)), self.heads)
        q_BHSK, k_BHSK = rotate(q_BHSK, *rotation_SK), rotate(k_BHSK, *rotation_SK)
        dropout_p = self.attention_dropout if self.training else 0.0
        attended_BSD = attend((q_BHSK, k_BHSK, v_BHSK), mask, dropout_p, trace)
        x_BSD = x_BSD + self.output_dropout(self.attention_output(attended_BSD))
        activated_BSF, linear_BSF = self.ffn_input(self.ffn_norm(x_BSD)).chunk(2, dim=-1)
        out_BSD: Tensor = x_BSD + self.ffn_output(self.dropout(gelu(activated_BSF) * linear_BSF))
        return out_BSD


class ModernBertEncoder(Encoder):
    """Token embeddings and their LayerNorm, a stack of ``ModernBertLayer``, a LayerNorm."""

    packed_by = KERNELS

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.config = config
        hidden, eps = config.hidden, config.layer_norm_eps
        self.word = nn.Embedding(config.vocab_size, hidden, padding_idx=config.pad_id)
        self.embedding_norm = nn.LayerNorm(hidden, eps=eps, bias=False)
        self.dropout = Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(ModernBertLayer(config, first=n == 0) for n in range(config.layers))
        self.norm = nn.LayerNorm(hidden, eps=eps, bias=False)

    def forward(self, ids_BS: Tensor, layout: Layout = None, trace: Trace = NO_TRACE) -> Tensor:
        """Hidden states after the last layer and LayerNorm; arguments as for ``BertEncoder.forward``."""
        config = self.config
        size, positions_S = config.hidden // config.heads, token_positions(ids_BS, layout)
        everywhere = key_mask(layout), rotary_tables(positions_S, size, config.global_base)
        nearby = self._near(ids_BS, layout), rotary_tables(positions_S, size, config.local_base)
        x_BSD: Tensor = self.dropout(self.embedding_norm(self.word(ids_BS)))
        for number, layer in enumerate(self.layers):
            trace.layer_input(x_BSD)
            mask, rotation_SK = everywhere if config.is_global(number) else nearby
            x_BSD = self.through(layer, x_BSD, mask, rotation_SK, trace)
        out_BSD: Tensor = self.norm(x_BSD)
        return out_BSD

    def _near(self, ids_BS: Tensor, layout: Layout) -> Layout:
        """``attend``'s mask in the local layers: bool, broadcastable to BHSS; of a packed row its packing."""
        reach = self.config.window // 2
        if isinstance(layout, Packing):
            return layout.within(reach)
        near_11SS = near(ids_BS.shape[1], reach, ids_BS.device)[None, None]
        if layout is None:
            return near_11SS
        # Padding far from any real token would see nothing, and nothing divided by nothing is NaN: it sees itself.
        itself_SS = torch.eye(ids_BS.shape[1], dtype=torch.bool, device=ids_BS.device)
        return near_11SS & (layout[:, None, None, :] | itself_SS)


KEYS: KeyTable = {
    "encoder.word": ("model.embeddings.tok_embeddings",),
    "encoder.embedding_norm": ("model.embeddings.norm",),
    "encoder.layers.N.attention_norm": ("model.layers.N.attn_norm",),
    "encoder.layers.N.qkv": ("model.layers.N.attn.Wqkv",),
    "encoder.layers.N.attention_output": ("model.layers.N.attn.Wo",),
    "encoder.layers.N.ffn_norm": ("model.layers.N.mlp_norm",),
    "encoder.layers.N.ffn_input": ("model.layers.N.mlp.Wi",),
    "encoder.layers.N.ffn_output": ("model.layers.N.mlp.Wo",),
    "encoder.norm": ("model.final_norm",),
    "head.dense": ("head.dense",),
    "head.norm": ("head.norm",),
    "head": ("decoder",),
    "head.output": ("classifier",),
}
TIED = {"decoder.weight": "model.embeddings.tok_embeddings.weight"}

MODELS.add("modernbert", ModernBertConfig())
MODELS.add("modernbert_small", ModernBertConfig(layers=10, hidden=256, heads=4, ffn=384))
MODELS.add(
    "modernbert_tiny", ModernBertConfig(layers=3, hidden=32, heads=4, ffn=48, max_positions=512, window=16)
)
