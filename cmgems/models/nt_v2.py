"""The Nucleotide Transformer v2: rotary positions (RoPE, arXiv 2104.09864), SiLU-gated feed-forward layers without bias
(arXiv 2002.05202).

Shape suffixes: B batch, S tokens in a padded row, D hidden, K head size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from cmgems.errors import CheckpointError
from cmgems.models.attention import (
    NO_TRACE,
    ROTARY_BASE,
    Encoder,
    Trace,
    key_mask,
    rotary_frequencies,
    rotary_tables,
    token_positions,
)
from cmgems.models.base import MODELS, Head, Layout
from cmgems.models.nucleotide_transformer import NT_KEYS, UNUSED_TENSORS, NTConfig, NTLayer, is_version_2
from cmgems.models.packing import KERNELS
from cmgems.models.published import check_settings, from_published, to_published


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
        self.check_rotary()

    def encoder(self) -> Encoder:
        """Rotary positions, SiLU-gated feed-forward layers."""
        return NTv2Encoder(self)

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The sizes in the published ``config.json``, or ours; None if it is another family's.

        Raises:
            CheckpointError: if it has a setting that the published model does not compute.
        """
        if not is_version_2(info):
            return None
        check_settings(
            info, emb_layer_norm_before=(False,), token_dropout=(False,), rope_theta=(ROTARY_BASE,)
        )
        return cls._read(info)

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """``config.json`` without labels; its model type keeps plain transformers from misreading it as ESM."""
        return self._huggingface_sizes(head) | {
            "model_type": self.family,
            "position_embedding_type": "rotary",
            "add_bias_fnn": False,
        }

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under the names of the published checkpoints; plain transformers has no class for them."""
        return to_published(NT_KEYS, state)

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a published checkpoint under our names, without those that are not used.

        Raises:
            CheckpointError: if a tensor is unknown, or the rotary frequencies are not ours.
        """
        frequencies = {name for name in state if name.endswith("rotary_embeddings.inv_freq")}
        for name in frequencies:
            self._check_frequencies(name, state[name])
        positions = "esm.embeddings.position_embeddings.weight"
        return from_published(NT_KEYS, state, unused=UNUSED_TENSORS | frequencies | {positions})

    def _check_frequencies(self, name: str, frequencies: Tensor) -> None:
        ours = rotary_frequencies(self.hidden // self.heads, frequencies.device)
        # Loose enough for checkpoints in half precision.
        if frequencies.shape != ours.shape or not torch.allclose(frequencies.float(), ours, rtol=0.01):
            raise CheckpointError(
                "other rotary frequencies", where=name, why=f"ours have base {ROTARY_BASE:.0f}"
            )


class NTv2Encoder(Encoder):
    """Token embeddings, a stack of ``NTLayer`` with rotary positions, a LayerNorm."""

    packed_by = KERNELS

    def __init__(self, config: NTv2Config) -> None:
        super().__init__()
        self.head_size = config.hidden // config.heads
        self.word = nn.Embedding(config.vocab_size, config.hidden, padding_idx=config.pad_id)
        self.layers = nn.ModuleList(NTLayer(config, gated=True) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)

    def forward(self, ids_BS: Tensor, layout: Layout = None, trace: Trace = NO_TRACE) -> Tensor:
        """Hidden states after the last layer and LayerNorm; arguments as for ``NTv1Encoder.forward``, any S."""
        x_BSD: Tensor = self.word(ids_BS)
        mask = key_mask(layout)
        rotation_SK = rotary_tables(token_positions(ids_BS, layout), self.head_size)
        for layer in self.layers:
            trace.layer_input(x_BSD)
            x_BSD = self.through(layer, x_BSD, mask, rotation_SK, trace)
        out_BSD: Tensor = self.norm(x_BSD)
        return out_BSD


MODELS.add("nt_v2_50m", NTv2Config(layers=12, hidden=512, ffn=2048))
MODELS.add("nt_v2_100m", NTv2Config(layers=22, hidden=512, ffn=2048))
MODELS.add("nt_v2_250m", NTv2Config(layers=24, hidden=768, ffn=3072))
MODELS.add("nt_v2_500m", NTv2Config())
MODELS.add("nt_v2_tiny", NTv2Config(layers=2, hidden=32, heads=4, ffn=64))
