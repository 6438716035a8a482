"""Exported models with tokens that do not overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmgems.export import export_huggingface
from cmgems.models import MODELS, fit_to_tokenizer, load_model, save_model
from cmgems.tokenization import TOKENIZERS, BpeTokenizer

SEQUENCE = "ACGTTAGGCATNacgttagg"


def exported(tmp_path: Path, name: str, small_bpe: Path):
    tokenizer = BpeTokenizer(small_bpe) if name == "bpe" else TOKENIZERS.get(name)
    config = fit_to_tokenizer(MODELS.get("logo_tiny"), tokenizer)
    (tmp_path / "model").mkdir()
    save_model(
        tmp_path / "model",
        config.masked_lm(),
        model_name="logo_tiny",
        config=config,
        head="masked_lm",
        tokenizer_name=name,
        tokenizer=tokenizer,
    )
    export_huggingface(load_model(tmp_path / "model"), tmp_path / "hf")
    return tokenizer, tmp_path / "hf"


@pytest.mark.parametrize("name", ["base", "nt_v1", "nt_v2", "bpe"])
def test_auto_tokenizer_and_the_code_of_the_model_card(tmp_path, small_bpe, name):
    transformers = pytest.importorskip("transformers")
    tokenizer, folder = exported(tmp_path, name, small_bpe)
    stock = transformers.AutoTokenizer.from_pretrained(folder)
    assert stock(SEQUENCE)["input_ids"] == tokenizer.encode(SEQUENCE).tolist()
    assert stock.model_max_length == MODELS.get("logo_tiny").max_positions
    card = (folder / "README.md").read_text()
    tokens = {"base": "single bases", "bpe": "pieces"}.get(name, "6-mers")
    assert f"makes the {tokens} itself" in card
    blocks = card.split("```python\n")[1:]
    code = "\n".join(block.split("```")[0] for block in blocks).replace("path/to/this/folder", str(folder))
    exec(code.replace("\npipeline(", "\nresult = pipeline("), scope := {})
    assert {guess["token"] for guess in scope["result"]} <= set(range(tokenizer.vocab_size))
    assert len(scope["result"]) == 5
