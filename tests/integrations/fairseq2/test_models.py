from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fairseq2.device import CPU
from fairseq2.error import NotSupportedError
from fairseq2.gang import create_fake_gangs
from fairseq2.models import ModelFamily
from fairseq2.models.hg import HuggingFaceConverter, save_hugging_face_model
from fairseq2.nn.utils.module import reset_non_persistent_buffers, to_empty
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper

from cmgems.errors import CmgemsError
from cmgems.integrations.fairseq2.models import (
    CONFIGS,
    ClassifierModel,
    RegisteredModel,
    check_tokenizer,
    create_model,
    head_of,
    own_config,
    own_names,
)
from cmgems.models import MODELS
from cmgems.tokenization import KmerTokenizer

TINY = {
    "cmgems_bert": "logo_tiny",
    "cmgems_dnabert2": "dnabert2_tiny",
    "cmgems_nt_v1": "nt_tiny",
    "cmgems_nt_v2": "nt_v2_tiny",
    "cmgems_modernbert": "modernbert_tiny",
}
ALL = {**TINY, "cmgems_plugin": "of_a_plugin", "cmgems_classifier": "logo_tiny"}


def logits(model, config):
    model.eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        return model(ids, torch.arange(10) < torch.tensor([[10], [7]]))


@pytest.mark.parametrize(("family", "arch"), ALL.items())
def test_every_family_makes_its_models(resolver, family, arch):
    found = resolver.resolve(ModelFamily, key=family)
    assert arch in found.get_archs()
    assert found.maybe_get_arch_config("no_such_arch") is None
    config = found.maybe_get_arch_config(arch)
    assert found.config_kls is type(config) is CONFIGS[family]
    model = found.create_new_model(
        config, create_fake_gangs(CPU), torch.float32, meta=False, init_rank0_only=True
    )
    assert model.origin.head == head_of(config)
    assert model.origin.config == own_config(config)
    assert logits(model, config).isfinite().all()


@pytest.mark.parametrize(("family", "arch"), TINY.items())
def test_a_model_made_without_memory_is_the_same_once_it_has_its_weights(resolver, family, arch):
    found = resolver.resolve(ModelFamily, key=family)
    config, gangs = found.maybe_get_arch_config(arch), create_fake_gangs(CPU)
    whole = found.create_new_model(config, gangs, torch.float32, meta=False, init_rank0_only=True)
    assert found.supports_meta
    late = found.create_new_model(config, gangs, torch.float32, meta=True, init_rank0_only=True)
    assert all(p.is_meta for p in late.parameters())
    to_empty(late, CPU)
    late.load_state_dict(whole.state_dict())
    reset_non_persistent_buffers(late)
    assert torch.equal(logits(late, config), logits(whole, config))


@pytest.mark.parametrize(("family", "arch"), ALL.items())
def test_layers_are_recomputed_to_the_same_gradients(resolver, family, arch):
    found = resolver.resolve(ModelFamily, key=family)
    model = create_model(found.maybe_get_arch_config(arch)).eval()
    ids = torch.arange(5, 25).reshape(2, 10)

    def gradients():
        model.zero_grad()
        model(ids).square().sum().backward()
        state = model.state_dict(keep_vars=True)
        return {name: p.grad.clone() for name, p in state.items() if p.grad is not None}

    before = gradients()
    found.apply_layerwise_ac(model, every_nth_layer=2)
    wrapped = [isinstance(layer, CheckpointWrapper) for layer in model.encoder.layers]
    assert wrapped == [i % 2 == 0 for i in range(len(wrapped))]
    after = gradients()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("family", "arch"), ALL.items())
def test_each_layer_is_a_unit_of_fsdp_and_of_compilation(resolver, family, arch, monkeypatch):
    found = resolver.resolve(ModelFamily, key=family)
    model = create_model(found.maybe_get_arch_config(arch))
    units, compiled = [], []

    def wrap(module, reshard_after_forward=None):
        units.append(module)
        return module

    found.apply_fsdp(model, "layer", wrap)
    assert units == list(model.encoder.layers)
    with pytest.raises(NotSupportedError, match="'layer' or 'model'"):
        found.apply_fsdp(model, "stack", wrap)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled.append((self, options)))
    found.compile(model, dynamic=True)
    assert compiled == [(layer, {"dynamic": True}) for layer in model.encoder.layers]


@pytest.mark.parametrize(("family", "arch"), TINY.items())
def test_published_names_become_ours_and_ours_stay(family, arch):
    config = MODELS.get(arch)
    state = config.masked_lm().state_dict()
    theirs = config.to_huggingface(state)
    back = own_names(dict(theirs), config)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)
    assert own_names(dict(state), config) == state


@pytest.mark.parametrize(("family", "auto"), [("cmgems_bert", "bert"), ("cmgems_nt_v1", "esm")])
def test_transformers_loads_what_fairseq2_exports(resolver, family, auto, tmp_path):
    from transformers import AutoModelForMaskedLM

    config = MODELS.get(TINY[family])
    model = create_model(config)
    converter = resolver.resolve(HuggingFaceConverter, key=family)
    state = converter.to_hg_state_dict(dict(model.state_dict()), config)
    save_hugging_face_model(tmp_path, state, converter.to_hg_config(config))
    theirs, info = AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert theirs.config.model_type == auto
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        ours, theirs = model.eval()(ids), theirs.eval()(ids).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("arch", ["logo_tiny", "nt_tiny"])
@pytest.mark.parametrize(
    ("head", "labels"),
    [("classification", 2), ("classification", 3), ("multi_label", 4), ("token_classification", 3)],
)
def test_transformers_loads_classifiers(resolver, arch, head, labels, tmp_path):
    import transformers

    config = ClassifierModel(arch, head=head, num_labels=labels)
    model = create_model(config).eval()
    converter = resolver.resolve(HuggingFaceConverter, key="cmgems_classifier")
    state = converter.to_hg_state_dict(dict(model.state_dict()), config)
    save_hugging_face_model(tmp_path, state, converter.to_hg_config(config))
    of_what = "Token" if head == "token_classification" else "Sequence"
    auto = getattr(transformers, f"AutoModelFor{of_what}Classification")
    theirs, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        ours, theirs = model(ids), theirs.eval()(ids).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ClassifierModel("logo_tiny", {"pool": "mean"}), "pool: cls"),
        (ClassifierModel("logo_tiny", head="regression", num_labels=1), "cmgems export"),
    ],
)
def test_what_the_published_classes_would_compute_otherwise_is_not_exported(resolver, config, message):
    converter = resolver.resolve(HuggingFaceConverter, key="cmgems_classifier")
    with pytest.raises(NotSupportedError, match=message):
        converter.to_hg_config(config)


@pytest.mark.parametrize("family", ["cmgems_dnabert2", "cmgems_nt_v2", "cmgems_modernbert", "cmgems_plugin"])
def test_what_transformers_has_no_class_for_says_what_to_use(resolver, family):
    converter = resolver.resolve(HuggingFaceConverter, key=family)
    config = resolver.resolve(ModelFamily, key=family).maybe_get_arch_config(ALL[family])
    with pytest.raises(NotSupportedError, match="cmgems export"):
        converter.to_hg_config(config)


def test_a_config_of_another_family_is_a_mistake_of_the_caller(resolver):
    with pytest.raises(TypeError, match="must be of a cmgems family"):
        resolver.resolve(HuggingFaceConverter, key="cmgems_bert").to_hg_config(object())


def test_options_of_a_plugins_model_are_checked():
    assert own_config(RegisteredModel("of_a_plugin", {"layers": 3})).layers == 3
    with pytest.raises(CmgemsError, match=r"layres.*did you mean 'layers'"):
        own_config(RegisteredModel("of_a_plugin", {"layres": 3}))


def test_a_model_with_another_vocabulary_says_what_to_set():
    model = create_model(MODELS.get("logo_tiny"))
    check_tokenizer(model, KmerTokenizer(6))
    with pytest.raises(CmgemsError, match=r"set model.config_overrides to \{vocab_size: 69\}"):
        check_tokenizer(model, KmerTokenizer(3))
    check_tokenizer(create_model(replace(model.origin.config, vocab_size=69)), KmerTokenizer(3))
