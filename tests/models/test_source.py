"""What a run starts from: a registered model, or a folder."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from cmgems.config import Component
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models import MODELS, ModelSource, load_model

KMER3 = Component("kmer3")


@pytest.fixture(params=["logo_tiny", "dnabert2_tiny", "nt_v2_tiny"])
def source(request):
    return ModelSource.of(Component(request.param, {"layers": 1}), KMER3)


def test_a_registered_model_is_as_large_as_its_vocabulary(source):
    assert (source.config.vocab_size, source.config.layers, source.saved) == (69, 1, None)
    assert (source.tokenizer.k, source.tokenizer_name) == (3, "kmer3")


def test_a_folder_brings_its_weights_config_and_tokenizer(source, tmp_path):
    model = source.masked_lm()
    source.save(tmp_path, model, "masked_lm", training={"steps": 3})
    assert load_model(tmp_path).training == {"steps": 3}
    found = ModelSource.of(Component(str(tmp_path)), None, dropout=0.3)
    assert found.config.hidden_dropout == 0.3
    assert (found.model_name, found.tokenizer) == (source.model_name, source.tokenizer)
    again, classifier = found.masked_lm(), found.with_head("classification", 2)
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    for name, tensor in classifier.encoder.state_dict().items():
        assert torch.equal(tensor, state[f"encoder.{name}"])


def test_the_pooling_is_saved_and_loaded_again(source, tmp_path):
    source.save(tmp_path, source.masked_lm(), "masked_lm")
    mean = ModelSource.of(Component(str(tmp_path)), None, pool="mean")
    model = mean.with_head("classification", 2).eval()
    (tmp_path / "ft").mkdir()
    mean.save(tmp_path / "ft", model, "classification", ["a", "b"])
    again, ids_BS = load_model(tmp_path / "ft"), torch.randint(5, 69, (3, 10))
    assert again.config.pool == again.model.pool == "mean"
    assert torch.equal(again.model(ids_BS), model(ids_BS))
    assert ModelSource.of(Component(str(tmp_path / "ft")), None).config.pool == "mean"


def test_an_option_that_a_model_does_not_have_is_refused(monkeypatch):
    @dataclass(frozen=True)
    class Plain:
        vocab_size: int = 69

    monkeypatch.setitem(MODELS._prototypes, "plain", Plain())
    with pytest.raises(CmgemsError, match="no `pool` to choose in model plain; leave it out"):
        ModelSource.of(Component("plain"), KMER3, pool="mean")


def test_a_folder_takes_no_other_tokenizer_than_its_own(tmp_path):
    source = ModelSource.of(Component("logo_tiny"), KMER3)
    source.save(tmp_path, source.masked_lm(), "masked_lm")
    assert ModelSource.of(Component(str(tmp_path)), KMER3).tokenizer == source.tokenizer
    with pytest.raises(CheckpointError, match="trained with kmer3, not kmer6; leave `tokenizer` out"):
        ModelSource.of(Component(str(tmp_path)), Component("kmer6"))
    with pytest.raises(CmgemsError, match="no tokenizer"):
        ModelSource.of(Component("logo_tiny"), None)


def test_a_fine_tuned_folder_is_no_masked_language_model(tmp_path):
    source = ModelSource.of(Component("logo_tiny"), KMER3)
    source.save(tmp_path, source.with_head("classification", 2), "classification", ["a", "b"])
    found = ModelSource.of(Component(str(tmp_path)), KMER3)
    with pytest.raises(CheckpointError, match=r"not a masked language model .*its head is classification"):
        found.masked_lm()


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(CheckpointError, match="no model found"):
        ModelSource.of(Component(str(tmp_path)), KMER3)
