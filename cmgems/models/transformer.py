"""What the transformer families have in common: their sizes, and models built from an encoder and a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from cmgems.errors import CmgemsError
from cmgems.models.attention import Encoder
from cmgems.models.base import Pool
from cmgems.models.heads import ClassificationHead, Classifier, MaskedLM, TokenClassificationHead


@dataclass(frozen=True)
class TransformerConfig(ABC):
    """Sizes of a transformer encoder; the defaults are BERT's.

    Args:
        vocab_size: Rows of the token embedding; recipes set it to the tokenizer's.
        layers: Transformer layers.
        hidden: Width D of the hidden states; a multiple of ``heads``.
        heads: Attention heads.
        ffn: Width F of the feed-forward layer; a gated one's first matrix is twice as wide.
        max_positions: The longest row of tokens, special tokens included.
        hidden_dropout: Dropout on hidden states, and before the classifier.
        attention_dropout: Dropout on the attention weights.
        layer_norm_eps: Epsilon of every LayerNorm.
        pool: What the head of a sequence classifier reads: ``cls``, the first token, as the published models do; or
            ``mean`` over all tokens, [CLS] and [SEP] included.

    Raises:
        CmgemsError: if a size or dropout is out of range, or ``hidden`` is not a multiple of ``heads``.
    """

    # Whether the decoder of the masked language model is the token embedding, and what comes before it has biases.
    tied: ClassVar[bool] = True
    head_biases: ClassVar[bool] = True
    sequence_head: ClassVar[type[nn.Module]] = ClassificationHead
    token_head: ClassVar[type[nn.Module]] = TokenClassificationHead
    # What the heads for sequences of the published classes can read.
    published_pools: ClassVar[tuple[Pool, ...]] = ("cls",)

    vocab_size: int = 4101
    layers: int = 12
    hidden: int = 768
    heads: int = 12
    ffn: int = 3072
    max_positions: int = 512
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    layer_norm_eps: float = 1e-12
    pool: Pool = "cls"

    def __post_init__(self) -> None:
        for name in ("vocab_size", "layers", "hidden", "heads", "ffn", "max_positions"):
            if (size := getattr(self, name)) < 1:
                raise CmgemsError(f"{name} must be positive", where="model", why=f"it is {size}")
        for name in ("hidden_dropout", "attention_dropout"):
            if not 0 <= (share := getattr(self, name)) < 1:
                raise CmgemsError(f"{name} must be in [0, 1)", where="model", why=f"it is {share}")
        if self.hidden % self.heads:
            raise CmgemsError(
                "hidden must be a multiple of heads",
                where="model",
                why=f"hidden is {self.hidden}, heads is {self.heads}",
                fix="change one of them",
            )

    def check_rotary(self) -> None:
        """For families with rotary positions.

        Raises:
            CmgemsError: if a head has an odd size.
        """
        if self.hidden // self.heads % 2:
            raise CmgemsError(
                "hidden must be an even multiple of heads",
                where="model",
                why=f"rotary positions take pairs, hidden is {self.hidden}, heads is {self.heads}",
                fix="change one of them",
            )

    @abstractmethod
    def encoder(self) -> Encoder:
        """A new encoder of these sizes."""

    def masked_lm(self) -> MaskedLM:
        """A freshly initialised masked language model."""
        encoder = self.encoder()
        model = MaskedLM(
            encoder,
            hidden=self.hidden,
            vocab_size=self.vocab_size,
            layer_norm_eps=self.layer_norm_eps,
            width=encoder.word.embedding_dim,
            tied=self.tied,
            biases=self.head_biases,
        )
        self.initialise(model)
        return model

    def initialise(self, model: nn.Module) -> None:
        """Give a new model its random weights: BERT's."""
        model.apply(init_weights)

    def classifier(self, num_labels: int) -> Classifier:
        """A freshly initialised sequence classifier with ``num_labels`` outputs."""
        return self._classifier(num_labels, self.sequence_head, self.pool)

    def token_classifier(self, num_labels: int) -> Classifier:
        """A freshly initialised classifier of every token with ``num_labels`` outputs."""
        return self._classifier(num_labels, self.token_head)

    def _classifier(self, num_labels: int, head: type[nn.Module], pool: Pool = "cls") -> Classifier:
        model = Classifier(
            self.encoder(),
            hidden=self.hidden,
            num_labels=num_labels,
            dropout=self.hidden_dropout,
            head=head,
            pool=pool,
        )
        self.initialise(model)
        return model


def init_weights(module: nn.Module, std: float = 0.02) -> None:
    """BERT's initialisation, for ``model.apply``: normal(0, std) weights, zero biases and padding rows."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()
