"""A model family: stacked convolutions over token embeddings.

Tensor names carry their shape: B batch, S tokens in a padded row, D hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import gelu

from cmgems.errors import CmgemsError
from cmgems.models import MODELS
from cmgems.models.attention import NO_TRACE, Encoder, Trace
from cmgems.models.heads import Classifier, MaskedLM, TokenClassificationHead


@dataclass(frozen=True)
class ConvolutionConfig:
    """Sizes of a convolutional model.

    Attributes:
        vocab_size: Rows of the token embedding; recipes set it to the tokenizer's.
        layers: Convolutions.
        hidden: Width D of the hidden states.
        width: Tokens seen by one convolution; odd.
        max_positions: The longest row of tokens.
    """

    family: ClassVar[str] = "example_convolution"

    vocab_size: int = 4101
    layers: int = 2
    hidden: int = 32
    width: int = 9
    max_positions: int = 512

    def __post_init__(self) -> None:
        if self.width % 2 == 0:
            raise CmgemsError("`width` must be odd", why=f"it is {self.width}")

    def masked_lm(self) -> nn.Module:
        """A freshly initialised masked language model."""
        encoder = ConvolutionEncoder(self)
        return MaskedLM(encoder, hidden=self.hidden, vocab_size=self.vocab_size, layer_norm_eps=1e-5)

    def classifier(self, num_labels: int) -> nn.Module:
        """A freshly initialised sequence classifier."""
        encoder = ConvolutionEncoder(self)
        return Classifier(encoder, hidden=self.hidden, num_labels=num_labels, dropout=0.0)

    def token_classifier(self, num_labels: int) -> nn.Module:
        """A freshly initialised classifier of every token."""
        encoder, head = ConvolutionEncoder(self), TokenClassificationHead
        return Classifier(encoder, hidden=self.hidden, num_labels=num_labels, dropout=0.0, head=head)


class ConvolutionEncoder(Encoder):
    """Token ids to hidden states; padding is zeroed before every convolution, so it cannot leak."""

    def __init__(self, config: ConvolutionConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.hidden, config.hidden, config.width, padding="same")
            for _ in range(config.layers)
        )

    def forward(self, ids_BS: Tensor, attention_BS: Tensor | None = None, trace: Trace = NO_TRACE) -> Tensor:
        """Hidden states_BSD; ``trace`` is told those of every layer."""
        hidden_BDS: Tensor = self.word(ids_BS).transpose(1, 2)
        for convolution in self.convolutions:
            trace.layer_input(hidden_BDS.transpose(1, 2))
            if attention_BS is not None:
                hidden_BDS = hidden_BDS * attention_BS[:, None, :]
            hidden_BDS = hidden_BDS + gelu(convolution(hidden_BDS))
        return hidden_BDS.transpose(1, 2)


MODELS.add("convolution_tiny", ConvolutionConfig())
