"""Model folders with tokenizers that are more than a name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmgems.errors import CmgemsError
from cmgems.models import MODELS, fit_to_tokenizer, load_model, save_model
from cmgems.tokenization import TOKENIZERS, BpeTokenizer, Tokenizer


def save(folder: Path, name: str, tokenizer: Tokenizer):
    config = fit_to_tokenizer(MODELS.get("logo_tiny"), tokenizer)
    save_model(
        folder,
        config.masked_lm(),
        model_name="logo_tiny",
        config=config,
        head="masked_lm",
        tokenizer_name=name,
        tokenizer=tokenizer,
    )
    return config


@pytest.mark.parametrize("name", ["nt_v1", "nt_v2"])
def test_nucleotide_transformer(tmp_path, name):
    config = save(tmp_path, name, TOKENIZERS.get(name))
    saved = load_model(tmp_path)
    assert (saved.tokenizer, saved.tokenizer_name) == (TOKENIZERS.get(name), name)
    assert (saved.config, config.pad_id) == (config, 1)


def test_a_bpe_model_does_not_need_the_file(tmp_path, small_bpe):
    file = tmp_path / "mine.json"
    file.write_text(small_bpe.read_text())
    tokenizer = BpeTokenizer(file)
    model = tmp_path / "model"
    model.mkdir()
    config = save(model, "bpe", tokenizer)
    file.unlink()
    saved = load_model(model)
    assert saved.tokenizer == tokenizer
    assert saved.tokenizer.encode("ACGTTAGGN").tolist() == tokenizer.encode("ACGTTAGGN").tolist()
    assert {path.name for path in model.iterdir()} == {"model.safetensors", "model.json"}
    assert str(tmp_path) not in (model / "model.json").read_text()
    assert (config.vocab_size, config.pad_id) == (200, 3)


def test_a_damaged_vocabulary_is_refused(tmp_path, small_bpe):
    save(tmp_path, "bpe", BpeTokenizer(small_bpe))
    info = json.loads((tmp_path / "model.json").read_text())
    info["tokenizer"]["options"]["content"] = "{}"
    (tmp_path / "model.json").write_text(json.dumps(info))
    with pytest.raises(CmgemsError, match=r"not a BPE tokenizer of DNA in .*model\.json"):
        load_model(tmp_path)
