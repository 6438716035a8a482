"""What every model family offers: a config that builds its models, and the registry of named configs.

A family is one self-contained file: its config (a frozen dataclass), its modules, and, where plain
transformers has a class for it, the table between our tensor names and that class's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from cmgems.errors import CheckpointError
from cmgems.registry import Registry

Head = Literal["masked_lm", "classification"]

# Our module name -> the module name(s) of the Hugging Face class. ``N`` stands for the layer number; several
# names mean that our weight is theirs stacked along dimension 0.
KeyTable = Mapping[str, tuple[str, ...]]


class ModelConfig(Protocol):
    """A frozen dataclass that builds the models of one family.

    Masked LM: ``forward(ids_BS, attention_BS=None, positions_M=None) -> logits_BSV`` (``logits_MV`` when
    given positions). Classifier: ``forward(ids_BS, attention_BS=None) -> logits_BC``. Both hold the
    encoder as the sub-module ``encoder``, under the same tensor names.
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
        """A freshly initialised sequence classifier."""
        ...


@runtime_checkable
class HuggingFaceModel(Protocol):
    """What a config offers besides when plain transformers has a class for its family."""

    def huggingface_config(self, head: Head) -> dict[str, Any]:
        """The content of ``config.json``, without labels."""
        ...

    def to_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under Hugging Face's names."""
        ...

    def from_huggingface(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Hugging Face's tensors under our names."""
        ...


MODELS: Registry[ModelConfig] = Registry("model")


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

    Raises:
        CheckpointError: if a tensor is in no row of the table, or one of several to stack is missing.
    """
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
