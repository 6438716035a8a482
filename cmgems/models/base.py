"""What every model family offers: a config that builds its models, and the registry of named configs.

A family is one self-contained file: its config (a frozen dataclass), its modules, and, where there are published
checkpoints, the table between our tensor names and theirs.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar, cast, runtime_checkable

import torch
from torch import Tensor, nn

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models.packing import Packing
from cmgems.registry import Registry
from cmgems.tokenization import Tokenizer

# Classification, multi-label classification and regression share a module; what differs is the loss.
Head = Literal["masked_lm", "classification", "multi_label", "regression", "token_classification"]

# How tokens lie in the rows of a batch: attention_BS, bool and True at real tokens; None when every token is real; or
# the packing of one row that holds all sequences.
Layout = Tensor | Packing | None

# Our module name -> the module name(s) of the Hugging Face class. ``N`` stands for the layer number; several
# names mean that our weight is theirs stacked along dimension 0.
KeyTable = Mapping[str, tuple[str, ...]]


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
    All hold the encoder as the sub-module ``encoder``, under the same tensor names.
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


@runtime_checkable
class PublishedModel(Protocol):
    """What a config offers besides when checkpoints of its family are published on Hugging Face."""

    # Whether plain transformers has a class for the family, without remote code.
    plain_transformers: ClassVar[bool]

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The config that a ``config.json`` describes, None if it is another family's.

        Raises:
            KeyError: if a size is missing.
            CheckpointError: if it describes a model of the family that the config cannot.
        """
        ...

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """The content of ``config.json``, without labels.

        Raises:
            CmgemsError: if these sizes have no class.
        """
        ...

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under the names of the published checkpoints."""
        ...

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a published checkpoint under our names."""
        ...


MODELS: Registry[ModelConfig] = Registry("model")
C = TypeVar("C", bound=ModelConfig)


def build_model(config: ModelConfig, head: Head, num_labels: int) -> nn.Module:
    """A freshly initialised model with ``head``; a masked LM has no use for ``num_labels``."""
    if head == "masked_lm":
        return config.masked_lm()
    if head == "token_classification":
        return config.token_classifier(num_labels)
    return config.classifier(num_labels)


def fit_to_tokenizer(config: C, tokenizer: Tokenizer) -> C:
    """``config`` with the tokenizer's ``vocab_size`` and, where the family has them, ``pad_id`` and ``mask_id``."""
    names = {field.name for field in dataclasses.fields(cast(Any, config))}
    ids = {"pad_id": tokenizer.pad_id, "mask_id": tokenizer.mask_id}
    own = {name: ids[name] for name in ids if name in names}
    return cast(C, dataclasses.replace(cast(Any, config), vocab_size=tokenizer.vocab_size, **own))


def check_sizes(config: Any) -> None:
    """See that the sizes and dropouts of a transformer's config are possible.

    Raises:
        CmgemsError: if one is out of range, or ``hidden`` is not a multiple of ``heads``.
    """
    for name in ("vocab_size", "layers", "hidden", "heads", "ffn", "max_positions"):
        if (size := getattr(config, name)) < 1:
            raise CmgemsError(f"{name} must be positive", where="model", why=f"it is {size}")
    for name in ("hidden_dropout", "attention_dropout"):
        if not 0 <= (share := getattr(config, name)) < 1:
            raise CmgemsError(f"{name} must be in [0, 1)", where="model", why=f"it is {share}")
    if config.hidden % config.heads:
        raise CmgemsError(
            "hidden must be a multiple of heads",
            where="model",
            why=f"hidden is {config.hidden}, heads is {config.heads}",
            fix="change one of them",
        )


def init_weights(module: nn.Module, std: float = 0.02) -> None:
    """BERT's initialisation, for ``model.apply``: normal(0, std) weights, zero biases and padding rows."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()


def apply_key_table(table: KeyTable, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename (and unstack) our tensors to Hugging Face's names. Exact: no value changes.

    Raises:
        CheckpointError: if a tensor is in no row of the table.
    """
    renamed: dict[str, Tensor] = {}
    unmapped: list[str] = []
    for name, tensor in state.items():
        module, layer, kind = _split(name)
        theirs = table.get(module)
        if theirs is None:
            unmapped.append(name)
            continue
        for their_module, part in zip(theirs, tensor.chunk(len(theirs)), strict=True):
            renamed[_join(their_module, layer, kind)] = part.contiguous()
    _raise_unmapped(unmapped)
    return renamed


def reverse_key_table(table: KeyTable, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename (and stack) Hugging Face's tensors to our names: the inverse of :func:`apply_key_table`.

    Old files, and transformers 5 again for ESM, call the parameters of a LayerNorm ``gamma`` and ``beta``.

    Raises:
        CheckpointError: if a tensor is in no row of the table, or one of several to stack is missing.
    """
    state = {
        re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name)): t for name, t in state.items()
    }
    ours_of = {their_module: ours for ours, theirs in table.items() for their_module in theirs}
    renamed: dict[str, Tensor] = {}
    unmapped: list[str] = []
    for name in state:
        module, layer, kind = _split(name)
        ours = ours_of.get(module)
        if ours is None:
            unmapped.append(name)
            continue
        names = [_join(their_module, layer, kind) for their_module in table[ours]]
        if missing := [n for n in names if n not in state]:
            raise CheckpointError("missing tensors", why=few(missing))
        parts = [state[n] for n in names]
        renamed[_join(ours, layer, kind)] = torch.cat(parts) if len(parts) > 1 else parts[0]
    _raise_unmapped(unmapped)
    return renamed


# Our field -> its name in config.json, the same in BERT, DNABERT-2 and ESM.
_SIZES = {
    "vocab_size": "vocab_size",
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
}
_SETTINGS = {
    "hidden_dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "layer_norm_eps": "layer_norm_eps",
}


def huggingface_sizes(config: Any) -> dict[str, Any]:
    """The part of ``config.json`` that says sizes and dropouts."""
    return {theirs: getattr(config, ours) for ours, theirs in (_SIZES | _SETTINGS).items()}


def read_huggingface_sizes(info: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`huggingface_sizes`; settings that are not there are left out.

    Raises:
        KeyError: if a size is missing.
    """
    sizes = {ours: info[theirs] for ours, theirs in _SIZES.items()}
    return sizes | {ours: info[theirs] for ours, theirs in _SETTINGS.items() if theirs in info}


def huggingface_head(prefix: str, head: Head) -> dict[str, Any]:
    """The part of ``config.json`` that says which class with this prefix ("Bert") to build, and for which loss."""
    classes = {"masked_lm": "ForMaskedLM", "token_classification": "ForTokenClassification"}
    losses = {
        "classification": "single_label_classification",
        "multi_label": "multi_label_classification",
        "regression": "regression",
    }
    problem = {"problem_type": losses[head]} if head in losses else {}
    return {"architectures": [prefix + classes.get(head, "ForSequenceClassification")], **problem}


def drop_tied(state: Mapping[str, Tensor], tied: Mapping[str, str]) -> dict[str, Tensor]:
    """``state`` without the second names of tied tensors; the first name is added where it is missing.

    Args:
        state: A checkpoint's tensors.
        tied: Second name -> first name.

    Raises:
        CheckpointError: if a tensor differs from the one it should be tied to.
    """
    kept = dict(state)
    for second, first in tied.items():
        tensor = kept.pop(second, None)
        if tensor is not None and not torch.equal(tensor, kept.setdefault(first, tensor)):
            raise CheckpointError("decoder not tied", where=second, why=f"it differs from {first}")
    return kept


def few(names: list[str], count: int = 4) -> str:
    """The first ``count`` names and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(sorted(names)[:count]) + more


def _split(name: str) -> tuple[str, str, str]:
    """'encoder.layers.3.qkv.weight' -> ('encoder.layers.N.qkv', '3', 'weight')."""
    module, _, kind = name.rpartition(".")
    layer = re.search(r"(?<=\.)\d+(?=\.)", module)
    if layer is None:
        return module, "", kind
    return module[: layer.start()] + "N" + module[layer.end() :], layer.group(), kind


def _join(module: str, layer: str, kind: str) -> str:
    return f"{module.replace('.N.', f'.{layer}.')}.{kind}"


def _raise_unmapped(unmapped: list[str]) -> None:
    if unmapped:
        raise CheckpointError(
            "unmapped tensors", why=few(unmapped), fix="the checkpoint is of another model family"
        )
