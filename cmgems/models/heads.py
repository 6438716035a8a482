"""Heads that turn an encoder into a masked language model or a classifier (BERT, arXiv 1810.04805).

Shape suffixes: B batch, S tokens in a padded row, D hidden, V vocabulary, C classes, M chosen positions.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear


class Encoder(Protocol):
    """What the heads need: ``encoder(ids_BS, attention_BS) -> hidden_BSD`` and the token embedding."""

    word: nn.Embedding

    def __call__(self, ids_BS: Tensor, attention_BS: Tensor | None = None) -> Tensor: ...


class MaskedLMHead(nn.Module):
    """dense -> erf GELU -> LayerNorm -> decoder + bias; the decoder is the token embedding, passed in.

    Handing the tied weight to ``forward`` leaves one parameter under one name, so nothing needs untying when
    the model is saved, compiled or sharded.
    """

    def __init__(self, hidden: int, vocab_size: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden, eps=layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden_D: Tensor, embedding_VD: Tensor) -> Tensor:
        """Logits over the vocabulary, for any leading dimensions."""
        return linear(self.norm(gelu(self.dense(hidden_D))), embedding_VD, self.bias)


class MaskedLM(nn.Module):
    """An encoder and a masked language modelling head, decoder tied to the token embedding."""

    encoder: Encoder

    def __init__(self, encoder: nn.Module, *, hidden: int, vocab_size: int, layer_norm_eps: float) -> None:
        super().__init__()
        self.encoder = cast(Encoder, encoder)
        self.head = MaskedLMHead(hidden, vocab_size, layer_norm_eps)

    def forward(
        self, ids_BS: Tensor, attention_BS: Tensor | None = None, positions_M: Tensor | None = None
    ) -> Tensor:
        """Token logits.

        Args:
            ids_BS: Token ids, int64.
            attention_BS: bool, True at real tokens; None when every token is real.
            positions_M: int64 indices into the flattened B*S. With about 15 % of the tokens masked, a head
                computed only there saves about 6/7 of its work.

        Returns:
            logits_BSV, or logits_MV when ``positions_M`` is given.
        """
        hidden_D = self.encoder(ids_BS, attention_BS)
        if positions_M is not None:
            hidden_D = hidden_D.flatten(0, 1).index_select(0, positions_M)
        logits: Tensor = self.head(hidden_D, self.encoder.word.weight)
        return logits


class ClassificationHead(nn.Module):
    """First token -> dense + tanh pooler -> dropout -> linear."""

    def __init__(self, hidden: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.pooler = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, num_labels)

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """Class logits_BC."""
        pooled_BD = torch.tanh(self.pooler(hidden_BSD[:, 0]))
        logits_BC: Tensor = self.output(self.dropout(pooled_BD))
        return logits_BC


class Classifier(nn.Module):
    """An encoder and a sequence classification head."""

    encoder: Encoder

    def __init__(self, encoder: nn.Module, *, hidden: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.encoder = cast(Encoder, encoder)
        self.head = ClassificationHead(hidden, num_labels, dropout)

    def forward(self, ids_BS: Tensor, attention_BS: Tensor | None = None) -> Tensor:
        """Class logits_BC; arguments as for :meth:`MaskedLM.forward`."""
        logits_BC: Tensor = self.head(self.encoder(ids_BS, attention_BS))
        return logits_BC
