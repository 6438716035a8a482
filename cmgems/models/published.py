"""Checkpoints published on Hugging Face: the names of their tensors and settings, and ours, both ways."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from cmgems.errors import CheckpointError, few
from cmgems.models.base import Head, ModelConfig

# Our module -> the module of the Hugging Face class, or several if our weight is theirs stacked along dimension 0.
# ``N`` stands for the number of the layer. A plain parameter ("head.bias") belongs to the module before its last dot.
KeyTable = Mapping[str, tuple[str, ...]]
SEQUENCE_HEADS: tuple[Head, ...] = ("classification", "multi_label", "regression")


@runtime_checkable
class PublishedModel(ModelConfig, Protocol):
    """What a config also offers if checkpoints of its family are published on Hugging Face."""

    # Whether plain transformers has a class for the family, without remote code.
    plain_transformers: ClassVar[bool]
    # What the published names of the encoder's tensors begin with, before the first dot.
    encoder_prefix: ClassVar[str]
    # Whether the decoder of the masked language model is the token embedding.
    tied: ClassVar[bool]

    @classmethod
    def read_huggingface_config(cls, info: Mapping[str, Any]) -> Self | None:
        """The config that a ``config.json`` describes, None if it is another family's.

        Raises:
            KeyError: if a size is missing.
            CheckpointError: if it has a setting that the family does not compute.
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


def reads_as_published(config: ModelConfig, head: Head) -> bool:
    """Whether the published class with ``head`` reads the same tokens of a sequence as ours does with ``config``."""
    pool, pools = getattr(config, "pool", "cls"), getattr(config, "published_pools", ("cls",))
    return head not in SEQUENCE_HEADS or pool in pools


def to_published(table: KeyTable, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename (and unstack) our tensors to the published names. No value changes.

    Raises:
        CheckpointError: if a tensor is not in the table.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        module, layer, kind = _split(name)
        theirs = table.get(module)
        if theirs is None:
            raise _unknown([n for n in state if _split(n)[0] not in table])
        for their_module, part in zip(theirs, tensor.chunk(len(theirs)), strict=True):
            renamed[_join(their_module, layer, kind)] = part.contiguous()
    return renamed


def from_published(
    table: KeyTable,
    state: Mapping[str, Tensor],
    *,
    unused: Collection[str] = (),
    tied: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Rename (and stack) published tensors to our names: the inverse of ``to_published``.

    Old files, and transformers 5 again for ESM, call the parameters of a LayerNorm ``gamma`` and ``beta``.

    Args:
        table: Our names and theirs.
        state: The checkpoint's tensors.
        unused: Their names of tensors to leave out.
        tied: Second name of a tensor -> its first name. The second may be missing, the first too.

    Raises:
        CheckpointError: if a tensor is not in the table, one of several to stack is missing, or a tensor differs from
            the one it should be tied to.
    """
    theirs = _drop_tied({name: tensor for name, tensor in state.items() if name not in unused}, tied or {})
    theirs = {
        re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name)): t for name, t in theirs.items()
    }
    ours_of = {their_module: ours for ours, modules in table.items() for their_module in modules}
    renamed: dict[str, Tensor] = {}
    for name in theirs:
        module, layer, kind = _split(name)
        ours = ours_of.get(module)
        if ours is None:
            raise _unknown([n for n in theirs if _split(n)[0] not in ours_of])
        names = [_join(their_module, layer, kind) for their_module in table[ours]]
        if missing := [n for n in names if n not in theirs]:
            raise CheckpointError("missing tensors", why=few(missing))
        parts = [theirs[n] for n in names]
        renamed[_join(ours, layer, kind)] = torch.cat(parts) if len(parts) > 1 else parts[0]
    return renamed


def _drop_tied(state: dict[str, Tensor], tied: Mapping[str, str]) -> dict[str, Tensor]:
    """``state`` without the second names of tied tensors; the first name is added where it is missing."""
    for second, first in tied.items():
        tensor = state.pop(second, None)
        if tensor is not None and not torch.equal(tensor, state.setdefault(first, tensor)):
            raise CheckpointError("decoder not tied", where=second, why=f"it differs from {first}")
    return state


def _split(name: str) -> tuple[str, str, str]:
    """'encoder.layers.3.qkv.weight' -> ('encoder.layers.N.qkv', '3', 'weight')."""
    module, _, kind = name.rpartition(".")
    layer = re.search(r"(?<=\.)\d+(?=\.)", module)
    if layer is None:
        return module, "", kind
    return module[: layer.start()] + "N" + module[layer.end() :], layer.group(), kind


def _join(module: str, layer: str, kind: str) -> str:
    return f"{module.replace('.N.', f'.{layer}.')}.{kind}"


def _unknown(names: list[str]) -> CheckpointError:
    return CheckpointError("unknown tensors", why=few(names), fix="the checkpoint is of another model family")


# Settings of a config.json with which a model of any family computes something else, and the values that ours have.
SETTINGS: dict[str, tuple[object, ...]] = {
    "hidden_act": ("gelu",),
    "is_decoder": (False,),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "pre_layer_norm": (False,),
    "pruned_heads": ({},),
    "rope_scaling": (),
    "quantization_config": (),
}


def check_settings(info: Mapping[str, Any], **own: tuple[object, ...]) -> None:
    """Check that a model with this ``config.json`` computes what ours does. Settings that are null or unknown pass.

    Args:
        info: The content of ``config.json``.
        own: More settings, or other values than those of ``SETTINGS``.

    Raises:
        CheckpointError: for the first setting with another value.
    """
    for name, values in (SETTINGS | own).items():
        if info.get(name) is not None and info[name] not in values:
            ours = " or ".join(map(repr, values)) or "without"
            raise CheckpointError(
                "another model",
                why=f"{name} is {info[name]!r:.80}, and cmgems computes {ours}",
                fix="use it with the code it was made with",
            )


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
    """The inverse of ``huggingface_sizes``; settings that are not there are left out.

    Raises:
        KeyError: if a size is missing.
    """
    sizes = {ours: info[theirs] for ours, theirs in _SIZES.items()}
    return sizes | {ours: info[theirs] for ours, theirs in _SETTINGS.items() if theirs in info}


def huggingface_head(prefix: str, head: Head) -> dict[str, Any]:
    """The part of ``config.json`` that says which class with this prefix ("Bert") to build, and for which loss."""
    classes = {
        "masked_lm": "ForMaskedLM",
        "token_classification": "ForTokenClassification",
        "encoder": "Model",
    }
    losses = {
        "classification": "single_label_classification",
        "multi_label": "multi_label_classification",
        "regression": "regression",
    }
    problem = {"problem_type": losses[head]} if head in losses else {}
    return {"architectures": [prefix + classes.get(head, "ForSequenceClassification")], **problem}
