"""What every model family offers: a config that builds its models, and the registry of named configs.

A family is one self-contained file: its config (a frozen dataclass), its modules, and, where there are published
checkpoints, the table between our tensor names and theirs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

from torch import Tensor, nn

from cmgems.models.packing import Packing
from cmgems.registry import Registry
from cmgems.tokenization import Tokenizer

# Classification, multi-label classification and regression share a module and differ in the loss; "encoder" is no head.
Head = Literal["masked_lm", "classification", "multi_label", "regression", "token_classification", "encoder"]
UNLABELLED: tuple[Head, ...] = ("masked_lm", "encoder")  # the heads whose outputs have no names

# What the head of a sequence reads: its first token, or the mean of all.
Pool = Literal["cls", "mean"]

# How tokens lie in the rows of a batch: attention_BS, bool and True at real tokens; None when every token is real; or
# the packing of one row with all sequences.
Layout = Tensor | Packing | None


@dataclass(frozen=True, eq=False)
class EncoderOutputs:
    """What an encoder makes of a batch.

    Attributes:
        last_BSD: Hidden states of the last layer, after the final LayerNorm where the family has one.
        hidden_states: layers + 1 tensors hidden_BSD in Hugging Face's order: the embeddings, what each layer but the
            last passes on, and ``last_BSD``. None if not asked for.
        attentions: The probabilities_BHSS (head, query, key) of every layer, float32. None if not asked for.
    """

    last_BSD: Tensor
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class ModelConfig(Protocol):
    """A frozen dataclass that builds the models of one family.

    Masked LM: ``forward(ids_BS, layout=None, positions_M=None) -> logits_BSV`` (``logits_MV`` when given positions).
    Classifier: ``forward(ids_BS, attention_BS=None) -> logits_BC``; token classifier: the same with ``logits_BSC``.
    All have the encoder as sub-module ``encoder``, with the same tensor names.
    """

    family: ClassVar[str]

    @property
    def vocab_size(self) -> int:
        """Rows of the token embedding."""
        ...

    @property
    def max_positions(self) -> int:
        """The longest row of tokens, [CLS] and [SEP] included."""
        ...

    def masked_lm(self) -> nn.Module:
        """A freshly initialised masked language model."""
        ...

    def classifier(self, num_labels: int) -> nn.Module:
        """A freshly initialised model with ``num_labels`` outputs a sequence: classes, labels or quantities."""
        ...

    def token_classifier(self, num_labels: int) -> nn.Module:
        """A freshly initialised classifier of every token."""
        ...


class BareEncoder(nn.Module):
    """An encoder without a head: it makes vectors, and a head can be trained on it.

    Args:
        encoder: Of any family.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids_BS: Tensor, layout: Layout = None) -> Tensor:
        """hidden_BSD of the last layer; arguments as for ``MaskedLM.forward``."""
        hidden_BSD: Tensor = self.encoder(ids_BS, layout)
        return hidden_BSD


MODELS: Registry[ModelConfig] = Registry("model")
C = TypeVar("C", bound=ModelConfig)


def build_model(config: ModelConfig, head: Head, num_labels: int) -> nn.Module:
    """A freshly initialised model with ``head``; ``num_labels`` is ignored where its outputs have no names."""
    if head == "masked_lm":
        return config.masked_lm()
    if head == "encoder":
        return BareEncoder(cast(nn.Module, config.masked_lm().encoder))
    if head == "token_classification":
        return config.token_classifier(num_labels)
    return config.classifier(num_labels)


def fit_to_tokenizer(config: C, tokenizer: Tokenizer) -> C:
    """``config`` with the tokenizer's ``vocab_size`` and, where the family has them, ``pad_id`` and ``mask_id``."""
    names = {field.name for field in dataclasses.fields(cast(Any, config))}
    ids = {"pad_id": tokenizer.pad_id, "mask_id": tokenizer.mask_id}
    own = {name: ids[name] for name in ids if name in names}
    return cast(C, dataclasses.replace(cast(Any, config), vocab_size=tokenizer.vocab_size, **own))
