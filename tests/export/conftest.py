"""A small BERT over 3-mers, and the same as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cmgems.export import export_huggingface
from cmgems.models import MODELS, SavedModel, fit_to_tokenizer
from cmgems.tokenization import TOKENIZERS


@pytest.fixture
def small_saved(tmp_path: Path) -> SavedModel:
    torch.manual_seed(0)
    tokenizer = TOKENIZERS.get("kmer3")
    config = fit_to_tokenizer(MODELS.get("dnabert_tiny"), tokenizer)
    return SavedModel(
        model=config.masked_lm().eval(),
        model_name="dnabert_tiny",
        config=config,
        head="masked_lm",
        tokenizer_name="kmer3",
        tokenizer=tokenizer,
        labels=[],
        training={},
        folder=tmp_path,
    )


@pytest.fixture
def small_folder(small_saved: SavedModel, tmp_path: Path) -> Path:
    export_huggingface(small_saved, tmp_path / "hf")
    return tmp_path / "hf"
