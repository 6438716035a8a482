"""The Python code of the documents runs."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path

import pytest
import torch

from cmgems.genome import GenomeStore, decode
from cmgems.models import MODELS, build_model, save_model
from cmgems.tokenization import TOKENIZERS

TOP = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path, small_genome, monkeypatch):
    """A folder with what the documents name: two runs, sequences, variants, a genome and its store."""
    monkeypatch.chdir(tmp_path)
    config = MODELS.build("logo_tiny", vocab_size=TOKENIZERS.get("kmer6").vocab_size)
    for name, head, labels in (("logo", "masked_lm", []), ("ft", "classification", ["other", "promoter"])):
        folder = tmp_path / "runs" / name / "final"
        folder.mkdir(parents=True)
        torch.manual_seed(0)
        save_model(
            folder,
            build_model(config, head, len(labels)),
            model_name="logo_tiny",
            config=config,
            head=head,
            tokenizer_name="kmer6",
            tokenizer=TOKENIZERS.get("kmer6"),
            labels=labels,
        )
    shutil.copytree(small_genome.store, "store")
    Path("seqs.fa").write_text(">a\nACGTTGCAACGTAC\n>b\nGGGCCATTTAGG\n")
    Path("my.fa.gz").write_bytes(gzip.compress(small_genome.fasta.read_bytes()))
    ref = decode(GenomeStore.open("store").codes[500:501])
    alt = "C" if ref == "A" else "A"
    Path("calls.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"contig0\t501\trs1\t{ref}\t{alt}\t.\t.\t.\n"
    )
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_code_runs(page, place, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (TOP / page).read_text(), re.DOTALL)
    ours = [block for block in blocks if "transformers" not in block]
    assert ours
    exec(compile("\n".join(ours), page, "exec"), {})
    assert capsys.readouterr().out
