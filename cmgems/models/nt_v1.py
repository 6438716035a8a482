"""The Nucleotide Transformer v1: learned positions, erf GELU, embeddings scaled for the share of masked tokens.

Shape suffixes: B batch, S tokens in a padded row, D hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from cmgems.models.attention import NO_TRACE, Encoder, Trace, key_mask
from cmgems.models.base import MODELS, Head, Layout
from cmgems.models.nucleotide_transformer import NT_KEYS, UNUSED_TENSORS, NTConfig, NTLayer, is_version_2
from cmgems.models.packing import KERNELS, Packing
from cmgems.models.published import KeyTable, check_settings, from_published, to_published

# ESM chooses 15 % of the tokens and writes <mask> over 80 % of those.
TRAINING_MASK_SHARE = 0.15 * 0.8

KEYS: KeyTable = {**NT_KEYS, "encoder.position": ("esm.embeddings.position_embeddings",)}


@dataclass(frozen=True)
class NTv1Config(NTConfig):
    """Sizes of a Nucleotide Transformer v1. Positions are counted over the tokens that are not <pad>.

    Args:
        mask_id: The id of <mask>.
        token_dropout: Whether the embeddings of <mask> are zeroed and all others scaled by (1 - 0.12) / (1 - share of
            <mask> in the row), so that their mean does not depend on how many tokens are masked.
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
        """The sizes in a ``config.json`` of the ESM classes; None if it is another family's.

        Raises:
            CheckpointError: if it has a setting that ESM with learned positions does not compute.
        """
        if info.get("model_type") != "esm" or is_version_2(info):
            return None
        check_settings(
            info, position_embedding_type=("absolute",), add_bias_fnn=(True,), emb_layer_norm_before=(False,)
        )
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

        Those classes also predict contacts in proteins; the weights for that are written as zeros, so that none is
        missing.
        """
        contacts = {
            "esm.contact_head.regression.weight": torch.zeros(1, self.layers * self.heads),
            "esm.contact_head.regression.bias": torch.zeros(1),
        }
        return to_published(KEYS, state) | contacts

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a Hugging Face ESM checkpoint under our names, without those for contacts.

        Raises:
            CheckpointError: if a tensor is unknown.
        """
        return from_published(KEYS, state, unused=UNUSED_TENSORS)


class NTv1Encoder(Encoder):
    """Token and learned position embeddings, a stack of ``NTLayer``, a LayerNorm."""

    packed_by = KERNELS

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
            trace: Collects hidden states and attentions for ``outputs``.

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


MODELS.add("nt_500m", NTv1Config())
MODELS.add("nt_2b5", NTv1Config(layers=32, hidden=2560, heads=20, ffn=10240))
MODELS.add("nt_tiny", NTv1Config(layers=2, hidden=32, heads=4, ffn=64))
