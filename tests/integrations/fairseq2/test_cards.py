"""Cards: of published checkpoints, and of model folders of ours."""

from __future__ import annotations

import sys

import pytest
import torch
import yaml
from fairseq2.assets import AssetCard, AssetStore
from fairseq2.data.tokenizers import TokenizerFamily, resolve_tokenizer_reference
from fairseq2.device import CPU
from fairseq2.gang import create_fake_gangs
from fairseq2.models import ModelFamily

from cmgems.errors import CmgemsError
from cmgems.export import export_huggingface
from cmgems.integrations.fairseq2.card import card_of, main
from cmgems.models import MODELS, build_model, load_model, save_model
from cmgems.tokenization import TOKENIZERS, BpeTokenizer
from tests.integrations.fairseq2.test_models import TINY

PUBLISHED = [
    "nt_500m_human_ref", "nt_500m_1000g", "nt_2b5_1000g", "nt_2b5_multi_species",
    "nt_v2_50m", "nt_v2_100m", "nt_v2_250m", "nt_v2_500m",
]  # fmt: skip


def load(resolver, card):
    family = resolver.resolve(ModelFamily, key=card.field("model_family").as_(str))
    return family.load_model(
        card, create_fake_gangs(CPU), torch.float32, None, load_rank0_only=False, mmap=False
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_checkpoints_have_the_sizes_and_tokenizer_of_their_arch(resolver, name):
    store = resolver.resolve(AssetStore)
    card = store.retrieve_card(f"cmgems_{name}")
    family = resolver.resolve(ModelFamily, key=card.field("model_family").as_(str))
    config = family.get_model_config(card)
    assert config == MODELS.get(card.field("model_arch").as_(str))
    assert card.field("checkpoint").as_uri().scheme == "hg"
    tokenizer = resolve_tokenizer_reference(store, card)
    own = TOKENIZERS.get(tokenizer.name.removeprefix("cmgems_"))
    assert (own.vocab_size, own.pad_id) == (config.vocab_size, config.pad_id)


@pytest.fixture
def saved(tmp_path, small_bpe):
    """``saved(arch, tokenizer, head)``: a model folder."""

    def make(arch, tokenizer="kmer6", head="masked_lm"):
        folder = tmp_path / "model"
        folder.mkdir()
        own = BpeTokenizer(file=small_bpe) if tokenizer == "bpe" else TOKENIZERS.get(tokenizer)
        config = MODELS.build(arch, vocab_size=own.vocab_size)
        labels = ["no", "yes"] if head == "classification" else []
        save_model(
            folder, build_model(config, head, len(labels)), model_name=arch, config=config, head=head,
            tokenizer_name=tokenizer, tokenizer=own, labels=labels,
        )  # fmt: skip
        return folder

    return make


@pytest.mark.parametrize(
    ("arch", "tokenizer", "head"),
    [
        ("logo_tiny", "kmer6", "masked_lm"),
        ("dnabert2_tiny", "bpe", "masked_lm"),
        ("nt_v2_tiny", "nt_v2", "masked_lm"),
        ("logo_tiny", "kmer3", "classification"),
    ],
)
def test_a_model_folder_has_a_card(resolver, saved, arch, tokenizer, head):
    folder = saved(arch, tokenizer, head)
    card = AssetCard("mine", card_of(folder, "mine"))
    model, ours = load(resolver, card), load_model(folder)
    assert {name: tensor.tolist() for name, tensor in model.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in ours.model.state_dict().items()
    }
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        assert torch.equal(model.eval()(ids), ours.model(ids))
    family = resolver.resolve(TokenizerFamily, key=card.field("tokenizer_family").as_(str))
    assert family.load_tokenizer(card, create_fake_gangs(CPU), None).own == ours.tokenizer


@pytest.mark.parametrize(("family", "arch"), TINY.items())
def test_a_card_may_name_a_folder_with_published_names(resolver, tmp_path, family, arch, saved):
    tokenizer = "kmer6" if "nt" not in arch else ("nt_v2" if "v2" in arch else "nt_v1")
    folder = saved(arch, tokenizer)
    export_huggingface(load_model(folder), tmp_path / "hf")
    ours = load_model(folder)
    entry = {
        "model_family": family,
        "model_arch": arch,
        "model_config_overrides": {"vocab_size": ours.tokenizer.vocab_size},
        "checkpoint": str(tmp_path / "hf"),
    }
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        assert torch.equal(load(resolver, AssetCard("theirs", entry)).eval()(ids), ours.model(ids))


def test_a_card_may_name_what_is_on_the_hub(resolver, saved, tmp_path, monkeypatch):
    """As it lies in Hugging Face's cache after a download."""
    folder = saved("nt_v2_tiny", "nt_v2")
    cached = tmp_path / "hub" / "models--somebody--tiny"
    export_huggingface(load_model(folder), cached / "snapshots" / "0123")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    entry = {"model_family": "cmgems_nt_v2", "model_arch": "nt_v2_tiny", "checkpoint": "hg://somebody/tiny"}
    ours = load_model(folder)
    entry["model_config_overrides"] = {"vocab_size": ours.tokenizer.vocab_size}
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        assert torch.equal(load(resolver, AssetCard("theirs", entry)).eval()(ids), ours.model(ids))


def test_an_encoder_alone_has_no_card(saved):
    with pytest.raises(CmgemsError, match="an encoder without a head"):
        card_of(saved("logo_tiny", head="encoder"), "mine")


def test_the_command_prints_a_card_or_one_line(saved, tmp_path, monkeypatch, capsys):
    folder = saved("logo_tiny")
    monkeypatch.setattr(sys, "argv", ["card", str(folder), "mine"])
    main()
    assert yaml.safe_load(capsys.readouterr().out) == card_of(folder, "mine")
    monkeypatch.setattr(sys, "argv", ["card", str(tmp_path / "nowhere"), "mine"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err.startswith("error: no such folder")
