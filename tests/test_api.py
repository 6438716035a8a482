"""``import cmgems``: quick, without PyTorch, and every name it promises is there."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import cmgems
from cmgems.export import export_huggingface
from cmgems.models import MODELS, load_model, save_model
from cmgems.tokenization import TOKENIZERS


def test_the_import_is_quick_and_brings_no_torch():
    code = (
        "import sys, time; start = time.process_time(); import cmgems; spent = time.process_time() - start; "
        "heavy = {'torch', 'numpy', 'rich', 'yaml'} & set(sys.modules); print(heavy or spent)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(printed) < 0.1


def test_every_name_is_there():
    for name in cmgems.__all__:
        assert getattr(cmgems, name).__name__ == name
        assert name in dir(cmgems)
    with pytest.raises(AttributeError, match="module 'cmgems' has no attribute 'lode'"):
        _ = cmgems.lode


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of a masked language model."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "final").mkdir()
    torch.manual_seed(0)
    config = MODELS.build("logo_tiny", vocab_size=69)
    save_model(
        folder / "final",
        config.masked_lm(),
        model_name="logo_tiny",
        config=config,
        head="masked_lm",
        tokenizer_name="kmer3",
        tokenizer=TOKENIZERS.get("kmer3"),
    )
    return folder


def test_a_run_a_model_folder_and_an_exported_folder_are_the_same_model(run_folder, tmp_path):
    export_huggingface(load_model(run_folder), tmp_path / "hf")
    vectors = [
        cmgems.load(path, device="cpu").embed(["ACGTACGTTGCA", "ACGTNA"])
        for path in (run_folder, str(run_folder / "final"), tmp_path / "hf")
    ]
    for other in vectors[1:]:
        assert np.array_equal(other, vectors[0])


def test_what_is_not_there_is_one_line(run_folder, tmp_path):
    with pytest.raises(cmgems.CmgemsError, match=r"no such folder in .*nothing"):
        cmgems.load(tmp_path / "nothing")
    with pytest.raises(cmgems.CmgemsError, match="unknown recipe 'pretain'"):
        cmgems.run("pretain", out=tmp_path / "run")
    with pytest.raises(cmgems.CmgemsError, match="unknown key"):
        cmgems.run("pretrain", "tiny", out=tmp_path / "run", overrides={"data.stoer": tmp_path})
    if not torch.cuda.is_available():
        with pytest.raises(cmgems.CmgemsError, match="no GPU"):
            cmgems.load(run_folder, device="cuda")
