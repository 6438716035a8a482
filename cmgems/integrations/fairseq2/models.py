"""Our model families as fairseq2's: a family for each class of configs, an arch for each registered config.

A family is named ``cmgems_`` and our name for it; models of plugins belong to ``cmgems_plugin``. Configs are our own,
so ``model.config_overrides`` takes the fields that ``model:`` takes in a config of ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from fairseq2.error import NotSupportedError
from fairseq2.models import ModelFamily, StandardModelFamily
from fairseq2.models.hg import HuggingFaceConfig, HuggingFaceConverter
from fairseq2.models.utils.ac import apply_layerwise_ac
from fairseq2.models.utils.fsdp import apply_layerwise_fsdp
from fairseq2.nn.fsdp import FSDPWrapper
from fairseq2.runtime.dependency import DependencyResolver, wire_object
from fairseq2.runtime.lookup import Lookup
from torch import Tensor, nn

from cmgems.config import Component, component, load_config
from cmgems.errors import CmgemsError
from cmgems.models import (
    MODELS,
    BertConfig,
    DNABERT2Config,
    Head,
    ModelConfig,
    ModelSource,
    ModernBertConfig,
    NTv1Config,
    NTv2Config,
    PublishedModel,
    SavedModel,
    build_model,
    load_model,
)
from cmgems.models.base import UNLABELLED
from cmgems.models.published import reads_as_published
from cmgems.registry import did_you_mean
from cmgems.tokenization import Tokenizer

PREFIX = "cmgems_"
PLUGIN, CLASSIFIER = f"{PREFIX}plugin", f"{PREFIX}classifier"
LABELLED: list[Head] = [head for head in get_args(Head) if head not in UNLABELLED]


@dataclass(frozen=True)
class _Named:
    """A model as configs of cmgems name it."""

    model: Component = component(MODELS, "logo", or_folder=True)


@dataclass(frozen=True)
class Origin:
    """What a model was made from; it stays with the model as its attribute ``origin``.

    Attributes:
        name: The registered model.
        config: Our own config, with every field.
        head: What the outputs are.
        num_labels: How many there are; 0 for a masked language model.
        tokenizer: Name and tokenizer of the folder that brought the weights; None for random ones.
    """

    name: str
    config: ModelConfig
    head: Head
    num_labels: int = 0
    tokenizer: tuple[str, Tokenizer] | None = None


@dataclass(frozen=True)
class RegisteredModel:
    """A masked language model as configs of cmgems name it, for families that fairseq2 has no class of configs for.

    Attributes:
        name: The registered model ("convolution_tiny") with random weights; or a run, checkpoint or model folder, which
            brings its weights and tokenizer.
        options: Fields of a registered model's config to replace.
    """

    name: str = "logo"
    options: Mapping[str, object] = field(default_factory=dict)

    def named(self) -> Component:
        """The model that is named, checked.

        Raises:
            ConfigError: if there is no such model, or an option is unknown or of another type.
        """
        given: object = {"name": self.name, **self.options} if self.options else self.name
        return load_config(_Named, None, values=[{"model": given}]).model

    def saved(self) -> SavedModel | None:
        """The model in the folder; None if a registered one is named."""
        folder = self.named().folder
        return None if folder is None else load_model(folder)


@dataclass(frozen=True)
class ClassifierModel(RegisteredModel):
    """A model with a new head for labels; of a folder it takes the encoder.

    Attributes:
        head: What the outputs are: ``classification``, ``multi_label``, ``regression`` or ``token_classification``.
        num_labels: Outputs.
    """

    head: str = "classification"
    num_labels: int = 2

    def __post_init__(self) -> None:
        if self.head not in LABELLED:
            raise CmgemsError(
                f"unknown head {self.head!r}", where="model", fix=did_you_mean(self.head, LABELLED)
            )
        if self.num_labels < 1:
            raise CmgemsError(f"`num_labels` must be 1 or more, but is {self.num_labels}", where="model")


BUILT_IN: dict[str, type[Any]] = {
    PREFIX + kind.family: kind
    for kind in (BertConfig, DNABERT2Config, NTv1Config, NTv2Config, ModernBertConfig)
}
# The configs of transformers that fairseq2 can fill. Those of ModernBERT have other fields in each of its versions.
CONFIG_CLASSES = {"cmgems_bert": "BertConfig", "cmgems_nt_v1": "EsmConfig"}
CONFIGS: dict[str, type[Any]] = BUILT_IN | {PLUGIN: RegisteredModel, CLASSIFIER: ClassifierModel}


def own_config(config: Any) -> ModelConfig:
    """Our own config of a model with this config in fairseq2."""
    if not isinstance(config, RegisteredModel):
        return cast(ModelConfig, config)
    saved = config.saved()
    return config.named().build(MODELS) if saved is None else saved.config


def _nearest(config: ModelConfig) -> str:
    """The registered model that differs from a config in the fewest fields."""
    names = [str(name) for name in Archs(type(config)).iter_keys()]
    fields = [entry.name for entry in dataclasses.fields(cast(Any, config))]

    def differing(name: str) -> int:
        return sum(getattr(MODELS.get(name), field) != getattr(config, field) for field in fields)

    return min(names, key=differing)


def head_of(config: Any) -> Head:
    """What the outputs of a model with this config are."""
    return cast(Head, config.head) if isinstance(config, ClassifierModel) else "masked_lm"


class Archs(Lookup[Any]):
    """The archs of a family: the names of the registered models whose config is of its class.

    Args:
        kind: The class. For ``RegisteredModel`` the models of no built-in family, for ``ClassifierModel`` all.
    """

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def maybe_get(self, key: Hashable) -> Any:
        """The config of an arch; None if the family has none of that name."""
        name = str(key)
        if name not in self.iter_keys():
            return None
        return self._kind(name) if issubclass(self._kind, RegisteredModel) else MODELS.get(name)

    def iter_keys(self) -> Iterator[Hashable]:
        """The names of the archs."""
        return (name for name in MODELS.names() if self._has(MODELS.get(name)))

    def _has(self, prototype: ModelConfig) -> bool:
        if self._kind is RegisteredModel:
            return type(prototype) not in BUILT_IN.values()
        return self._kind is ClassifierModel or type(prototype) is self._kind

    @property
    def kls(self) -> type[Any]:
        """The class of the configs."""
        return self._kind


def model_family(resolver: DependencyResolver, name: str) -> ModelFamily:
    """The family called ``name``, one of ``CONFIGS``."""
    return wire_object(
        resolver,
        StandardModelFamily,
        name=name,
        kls=nn.Module,
        configs=Archs(CONFIGS[name]),
        factory=create_model,
        supports_meta=name in BUILT_IN,
        restrict=True,
        state_dict_converter=own_names,
        shard_specs=None,
        compiler=compile_layers,
        fsdp_applier=shard_layers,
        layerwise_ac_applier=recompute_layers,
    )


def create_model(config: Any) -> nn.Module:
    """A model with the weights of a folder, or random ones; its attribute ``origin`` says what it was made from."""
    head, labels = head_of(config), getattr(config, "num_labels", 0)
    saved = config.saved() if isinstance(config, RegisteredModel) else None
    if saved is None:
        own = own_config(config)
        model = build_model(own, head, labels)
        origin = Origin(getattr(config, "name", None) or _nearest(own), own, head, labels)
    else:
        tokenizer = saved.tokenizer_name, saved.tokenizer
        source = ModelSource(saved.model_name, saved.config, *tokenizer, saved)
        model = source.masked_lm() if head == "masked_lm" else source.with_head(head, labels)
        origin = Origin(saved.model_name, saved.config, head, labels, tokenizer)
    cast(Any, model).origin = origin
    return model


def own_names(state_dict: dict[str, object], config: Any) -> dict[str, object]:
    """The tensors of a checkpoint under our names; of a published one they are renamed.

    Raises:
        CmgemsError: if no checkpoints of the family are published, or a tensor is unknown.
    """
    own = own_config(config)
    if any(name.startswith("encoder.word.") for name in state_dict) or not isinstance(own, PublishedModel):
        return state_dict
    return dict(own.from_huggingface(cast(dict[str, Tensor], state_dict)))


def layers_of(model: Any) -> nn.ModuleList | None:
    """The layers of a model's encoder; None if it does not say which they are."""
    layers = getattr(model.encoder, "layers", None)
    return layers if isinstance(layers, nn.ModuleList) else None


def compile_layers(model: nn.Module, *args: Any, **kwargs: Any) -> None:
    """Compile each layer, or the model as a whole where it has none; arguments as for ``torch.compile``."""
    for module in layers_of(model) or [model]:
        module.compile(*args, **kwargs)


def shard_layers(model: nn.Module, granularity: str, wrapper: FSDPWrapper) -> nn.Module:
    """Shard each layer. What is left is fairseq2's outermost unit: the head needs the token embedding.

    Raises:
        NotSupportedError: for ``stack``, where the embedding would be away when the head is computed.
    """
    if granularity != "layer":
        raise NotSupportedError(f"`granularity` must be 'layer' or 'model', but is '{granularity}'.")
    if (layers := layers_of(model)) is not None:
        apply_layerwise_fsdp(layers, wrapper)
    return model


def recompute_layers(model: nn.Module, every_nth_layer: int) -> nn.Module:
    """Compute every nth layer again in the backward pass.

    Raises:
        NotSupportedError: if the encoder does not say which layers it has.
    """
    layers = layers_of(model)
    if layers is None:
        raise NotSupportedError("The encoder has no `layers` to recompute.")
    apply_layerwise_ac(layers, every_nth_layer)
    return model


class PublishedConverter(HuggingFaceConverter):
    """Converts a model to the class that plain transformers has for it: BERT, or ESM for NT v1."""

    def to_hg_config(self, config: Any) -> HuggingFaceConfig:
        """The content of ``config.json``.

        Raises:
            NotSupportedError: if no class of transformers computes the same.
        """
        own = self._published(config)
        info = dict(own.huggingface_config(head_of(config)))
        if isinstance(config, ClassifierModel):  # their names are the data set's
            info["num_labels"] = config.num_labels
        (arch,) = info.pop("architectures")
        del info["model_type"]  # the class says it
        return HuggingFaceConfig(info, CONFIG_CLASSES[PREFIX + own.family], arch)

    def to_hg_state_dict(self, state_dict: dict[str, object], config: Any) -> dict[str, object]:
        """The tensors under the published names, each with memory of its own: fairseq2 refuses views of one."""
        theirs = self._published(config).to_huggingface(cast(dict[str, Tensor], state_dict))
        return {name: tensor.clone() for name, tensor in theirs.items()}

    def _published(self, config: Any) -> PublishedModel:
        if not isinstance(config, tuple(CONFIGS.values())):
            raise TypeError(f"`config` must be of a cmgems family, but is of type `{type(config)}`.")
        own = own_config(config)
        if not isinstance(own, PublishedModel) or PREFIX + own.family not in CONFIG_CLASSES:
            raise NotSupportedError(
                f"fairseq2 cannot fill a class of transformers for {own.family} models. Use `cmgems export` instead."
            )
        if not reads_as_published(own, head_of(config)):
            raise NotSupportedError(
                "The classes of transformers read the first token only. Use `pool: cls` instead."
            )
        if head_of(config) == "regression":
            raise NotSupportedError(
                "Quantities were scaled for training, and the data set knows how. Use `cmgems export` instead."
            )
        return own


def huggingface_converter(resolver: DependencyResolver, name: str) -> HuggingFaceConverter:
    """The converter of the family ``name``."""
    return PublishedConverter()


def check_tokenizer(model: Any, tokenizer: Tokenizer) -> None:
    """Check that a model has a row for each token and the same special tokens, and takes its folder's tokenizer.

    Raises:
        CmgemsError: if not; it says what to set.
    """
    origin: Origin = model.origin
    config = origin.config
    if origin.tokenizer is not None and origin.tokenizer[1] != tokenizer:
        raise CmgemsError(
            "another tokenizer",
            where="tokenizer",
            why=f"the model was trained with {origin.tokenizer[0]}",
            fix="name the card of that one",
        )
    wanted = {name: getattr(tokenizer, name) for name in ("vocab_size", "pad_id", "mask_id")}
    wrong = {name: value for name, value in wanted.items() if getattr(config, name, value) != value}
    if wrong:
        needed = ", ".join(f"{name}: {value}" for name, value in wrong.items())
        raise CmgemsError(
            "model and tokenizer differ",
            where="model",
            why=", ".join(f"{name} is {getattr(config, name)}, not {value}" for name, value in wrong.items()),
            fix=f"set model.config_overrides to {{{needed}}}, or choose another tokenizer",
        )
