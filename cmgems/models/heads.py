"""Heads that turn an encoder into a masked language model or a classifier (BERT, arXiv 1810.04805).

Shape suffixes: B batch, S tokens in a padded row, D hidden, E embedding width, V vocabulary, C outputs, M chosen
positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad

from cmgems.models.base import Layout, Pool
from cmgems.models.dropout import Dropout

# A GPU multiplies matrices faster whose rows are a multiple of this: 4,096 6-mers and 5 special tokens are not.
GPU_COLUMNS = 64


class TokenEncoder(Protocol):
    """What the heads need: ``encoder(ids_BS, layout) -> hidden_BSD`` and the token embedding."""

    word: nn.Embedding

    def __call__(self, ids_BS: Tensor, layout: Layout = None) -> Tensor: ...


class MaskedLMHead(nn.Module):
    """dense -> erf GELU -> LayerNorm -> decoder + bias; a tied decoder is the token embedding, passed in.

    Passing the tied weight to ``forward`` keeps one parameter under one name, so the model can be saved, compiled and
    sharded as it is.
    """

    def __init__(
        self, hidden: int, width: int, vocab_size: int, layer_norm_eps: float, tied: bool, biases: bool
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, width, bias=biases)
        self.norm = nn.LayerNorm(width, eps=layer_norm_eps, bias=biases)
        self.decoder = None if tied else nn.Linear(width, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden_D: Tensor, embedding_VE: Tensor) -> Tensor:
        """Logits over the vocabulary, for any leading dimensions."""
        decoder_VE: Tensor = embedding_VE if self.decoder is None else self.decoder.weight
        transformed_E = self.norm(gelu(self.dense(hidden_D)))
        vocabulary = len(self.bias)
        missing = -vocabulary % GPU_COLUMNS
        if hidden_D.device.type == "cpu" or not missing:
            return linear(transformed_E, decoder_VE, self.bias)
        decoder_VE, bias_V = pad(decoder_VE, (0, 0, 0, missing)), pad(self.bias, (0, missing))
        return linear(transformed_E, decoder_VE, bias_V)[..., :vocabulary].contiguous()


class MaskedLM(nn.Module):
    """An encoder and a masked language modelling head.

    Args:
        encoder: A ``TokenEncoder``.
        hidden: Width of its hidden states.
        vocab_size: Rows of its token embedding.
        layer_norm_eps: Epsilon of the head's LayerNorm.
        width: Width of its token embedding; None for ``hidden``.
        tied: Whether the decoder is the token embedding, or a matrix of its own.
        biases: Whether what comes before the decoder has biases.
    """

    encoder: TokenEncoder

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int,
        vocab_size: int,
        layer_norm_eps: float,
        width: int | None = None,
        tied: bool = True,
        biases: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = cast(TokenEncoder, encoder)
        self.head = MaskedLMHead(hidden, width or hidden, vocab_size, layer_norm_eps, tied, biases)

    def forward(self, ids_BS: Tensor, layout: Layout = None, positions_M: Tensor | None = None) -> Tensor:
        """Token logits.

        Args:
            ids_BS: Token ids, int64.
            layout: attention_BS (bool, True at real tokens) of padded rows, the packing of a packed one, None when
                every token is real.
            positions_M: int64 indices into the flattened B*S. With about 15 % of the tokens masked, a head
                computed only there saves about 6/7 of its work.

        Returns:
            logits_BSV, or logits_MV when ``positions_M`` is given.
        """
        hidden_D = self.encoder(ids_BS, layout)
        if positions_M is not None:
            hidden_D = hidden_D.flatten(0, 1).index_select(0, positions_M)
        logits: Tensor = self.head(hidden_D, self.encoder.word.weight)
        return logits


class ClassificationHead(nn.Module):
    """BERT's: first token -> dense + tanh pooler -> dropout -> linear."""

    def __init__(self, hidden: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.pooler = nn.Linear(hidden, hidden)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden, num_labels)

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """Sequence logits_BC."""
        pooled_BD = torch.tanh(self.pooler(hidden_BSD[:, 0]))
        logits_BC: Tensor = self.output(self.dropout(pooled_BD))
        return logits_BC


class TokenClassificationHead(nn.Module):
    """Every token -> dropout -> linear, in all families."""

    def __init__(self, hidden: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden, num_labels)

    def forward(self, hidden_BSD: Tensor) -> Tensor:
        """Token logits_BSC."""
        logits_BSC: Tensor = self.output(self.dropout(hidden_BSD))
        return logits_BSC


class Classifier(nn.Module):
    """An encoder and a head for sequences or for tokens.

    Whether the outputs are classes, several labels or quantities depends on the loss.

    Args:
        encoder: A ``TokenEncoder``.
        hidden: Width of its hidden states.
        num_labels: Outputs C.
        dropout: Dropout in the head.
        head: Makes the head from ``hidden``, ``num_labels`` and ``dropout``.
        pool: Whether a head for sequences, which reads the first of the tokens it is given, is given all of them
            (``cls``) or their mean alone.
    """

    encoder: TokenEncoder

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int,
        num_labels: int,
        dropout: float,
        head: Callable[[int, int, float], nn.Module] = ClassificationHead,
        pool: Pool = "cls",
    ) -> None:
        super().__init__()
        self.encoder = cast(TokenEncoder, encoder)
        self.head = head(hidden, num_labels, dropout)
        self.pool = pool

    def forward(self, ids_BS: Tensor, attention_BS: Tensor | None = None) -> Tensor:
        """logits_BC, or logits_BSC from a head for tokens; arguments as for ``MaskedLM.forward``."""
        hidden_BSD = self.encoder(ids_BS, attention_BS)
        if self.pool == "mean":
            hidden_BSD = mean_token(hidden_BSD, attention_BS)
        logits: Tensor = self.head(hidden_BSD)
        return logits


def mean_token(hidden_BSD: Tensor, attention_BS: Tensor | None) -> Tensor:
    """The mean of the real tokens of each row, as its only token: (B, 1, D)."""
    if attention_BS is None:
        return hidden_BSD.mean(1, keepdim=True)
    sums_B1D = hidden_BSD.masked_fill(~attention_BS[..., None], 0).sum(1, keepdim=True)
    return sums_B1D / attention_BS.sum(1)[:, None, None]
