"""``cmgems embed``, ``score`` and ``variants`` from end to end, on a saved model."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cmgems.cli.main import run
from cmgems.genome import GenomeStore, decode
from cmgems.models import MODELS, save_model
from cmgems.tokenization import TOKENIZERS

CONTIG = "ACGTTGCAACGGATTCCAGT" * 5


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    """A masked language model of 3-mers that takes 30 bp at once."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = MODELS.build("logo_tiny", vocab_size=69, max_positions=30)
    save_model(
        folder,
        config.masked_lm(),
        model_name="logo_tiny",
        config=config,
        head="masked_lm",
        tokenizer_name="kmer3",
        tokenizer=TOKENIZERS.get("kmer3"),
    )
    return str(folder)


@pytest.fixture
def fasta(tmp_path) -> str:
    (tmp_path / "s.fa").write_text(f">long\n{CONTIG}\n>short\nACGTNACGT\n")
    return str(tmp_path / "s.fa")


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


@pytest.mark.parametrize("kind", ["npy", "parquet", "h5"])
def test_embed(model, fasta, tmp_path, capsys, kind):
    pytest.importorskip({"npy": "numpy", "parquet": "pyarrow", "h5": "h5py"}[kind])
    out = tmp_path / f"emb.{kind}"
    assert run(["embed", model, fasta, "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 2 vectors of 64 values, 2 sequences\n"
    assert out.is_file()
    if kind == "npy":
        assert np.load(out).shape == (2, 64)
        assert [r["name"] for r in rows(out.with_suffix(".names.csv"))] == ["long", "short"]


@pytest.mark.parametrize("command", ["embed", "score"])
def test_both_strands(model, tmp_path, command):
    """The answer of a sequence is that of its reverse complement."""
    (tmp_path / "s.fa").write_text(f">x\n{CONTIG}\n")
    (tmp_path / "other.fa").write_text(f">x\n{CONTIG.translate(str.maketrans('ACGT', 'TGCA'))[::-1]}\n")
    outs = [tmp_path / f"{name}{'.npy' if command == 'embed' else '.csv'}" for name in ("s", "other", "one")]
    for fasta, out in zip(("s.fa", "other.fa"), outs, strict=False):
        assert run([command, model, str(tmp_path / fasta), "-o", str(out), "--both-strands"]) == 0
    assert run([command, model, str(tmp_path / "s.fa"), "-o", str(outs[2])]) == 0
    if command == "embed":
        ours, theirs, one = map(np.load, outs)
    else:
        ours, theirs, one = ([r["log_likelihood"] for r in rows(out)] for out in outs)
        theirs = theirs[::-1]
    assert np.array_equal(ours, theirs)
    assert not np.array_equal(ours, one)


def test_embed_every_token_of_any_layer(model, fasta, tmp_path):
    out = tmp_path / "emb.npy"
    assert run(["embed", model, fasta, "-o", str(out), "--pool", "none", "--layer", "0"]) == 0
    assert np.load(out).shape == (len(CONTIG) - 2 + 7, 64)
    last = rows(out.with_suffix(".names.csv"))[-1]
    assert last == {"name": "short", "start": "6", "end": "9", "token": "CGT"}


def test_the_same_sequences_from_csv_and_bed(model, tmp_path, small_genome):
    store = GenomeStore.open(small_genome.store)
    (tmp_path / "s.bed").write_text("contig0\t5\t90\ncontig1\t100\t120\n")
    bases = [decode(store.codes[5:90]), decode(store.codes[store.offsets[1] + 100 : store.offsets[1] + 120])]
    (tmp_path / "s.csv").write_text("sequence\n" + "\n".join(bases) + "\n")
    bed = [str(tmp_path / "s.bed"), "--store", str(small_genome.store)]
    assert run(["embed", model, *bed, "-o", str(tmp_path / "bed.npy"), "--pool", "cls"]) == 0
    csv_of = [str(tmp_path / "s.csv"), "-o", str(tmp_path / "csv.npy")]
    assert run(["embed", model, *csv_of, "--pool", "cls"]) == 0
    assert np.array_equal(np.load(tmp_path / "bed.npy"), np.load(tmp_path / "csv.npy"))
    assert [r["name"] for r in rows(tmp_path / "bed.names.csv")] == ["contig0:5-90", "contig1:100-120"]


def test_score(model, fasta, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    assert run(["score", model, fasta, "-o", str(out), "--batch-tokens", "200"]) == 0
    found = rows(out)
    assert "".join(r["base"] for r in found) == CONTIG + "ACGTNACGT"
    assert [int(r["position"]) for r in found[-9:]] == list(range(1, 10))
    assert found[-5] == {
        "name": "short",
        "position": "5",
        "base": "N",
        "log_likelihood": "",
        **{f"p_{base}": "" for base in "ACGT"},
    }
    for row in found:
        if row["base"] != "N":
            assert float(row["log_likelihood"]) == pytest.approx(
                np.log(float(row[f"p_{row['base']}"])), abs=1e-5
            )
            assert sum(float(row[f"p_{base}"]) for base in "ACGT") == pytest.approx(1, abs=3e-6)
    assert f"{out}: 2 sequences, 108 of 109 bases scored, -" in capsys.readouterr().out


def test_variants_against_labels(model, tmp_path, small_genome, capsys):
    genome = decode(GenomeStore.open(small_genome.store).codes[:2000])
    lines = ["chrom,pos,ref,alt,label,effect"]
    for number, place in enumerate(range(100, 160)):
        ref, alt = genome[place - 1], "CAGT"["ACTG".index(genome[place - 1])]
        row = (alt, ref) if number == 7 else (ref, alt)
        lines.append(f"contig0,{place},{','.join(row)},{'PBX'[number % 3]},{'ab'[number % 2]}")
    (tmp_path / "v.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "s.csv"
    command = ["variants", model, str(tmp_path / "v.csv"), "--store", str(small_genome.store), "-o"]
    assert run([*command, str(out), "--labels", "label=P:B", "--by", "effect", "--swapped"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: 60 of 60 alleles scored; REF and ALT of 1 are swapped in the genome\n")
    assert "20 positive, 20 negative; by chance AUROC is 0.500, AUPRC 0.500" in said
    assert "not ranked: 20 no label" in said
    assert re.search(r"model .* its score .* 0\.\d{3} \[0\.\d{3}, ", said)
    assert "AUROC of gc" in said
    found = json.loads((tmp_path / "s.labels.json").read_text())
    assert found["swapped"] == 1
    assert [found["groups"][name]["positives"] for name in "ab"] == [10, 10]
    assert {row["label"] for row in rows(out)} == {"0", "1", ""}

    assert run([*command, str(tmp_path / "none.csv")]) == 2
    assert "REF and ALT are swapped" in capsys.readouterr().err
    assert run([*command, str(tmp_path / "left.csv"), "--skip-invalid"]) == 0
    assert len(rows(tmp_path / "left.csv")) == 59
    assert "REF and ALT are swapped" in (tmp_path / "left.skipped.csv").read_text()
    capsys.readouterr()
    assert run([*command, "/dev/stdout", "--labels", "label=P:B", "--swapped"]) == 0
    told = capsys.readouterr()
    assert "20 positive" in told.err
    assert "20 positive" not in told.out
    assert run([*command, str(tmp_path / "new.csv"), "--labels", "label=P:Q", "--swapped"]) == 2
    assert "error: one class only in" in capsys.readouterr().err
    assert not (tmp_path / "new.csv").exists()


def test_variants(model, tmp_path, small_genome, capsys):
    ref = decode(GenomeStore.open(small_genome.store).codes[500:501])
    alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
    (tmp_path / "c.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"contig0\t501\trs1\t{ref}\t{alt},{ref}A\t.\t.\t.\n"
    )
    arguments = [model, str(tmp_path / "c.vcf"), "--store", str(small_genome.store), "-o"]
    assert run(["variants", *arguments, str(tmp_path / "one.csv")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'one.csv'}: 1 of 2 alleles scored, skipped 1 insertion\n"
    scored, skipped = rows(tmp_path / "one.csv")
    assert list(scored) == ["contig", "position", "id", "ref", "alt", "score", "skipped"]
    assert list(scored.values())[:5] == ["contig0", "501", "rs1", ref, alt]
    assert scored["skipped"] == ""
    assert (skipped["score"], skipped["skipped"]) == ("", "insertion")

    # The same ratio as the scores of the 30 bp window around it, and another with both strands.
    window = decode(GenomeStore.open(small_genome.store).codes[485:515])
    (tmp_path / "w.fa").write_text(f">w\n{window}\n")
    assert run(["score", model, str(tmp_path / "w.fa"), "-o", str(tmp_path / "w.csv")]) == 0
    base = rows(tmp_path / "w.csv")[15]
    ratio = np.log(float(base[f"p_{alt}"]) / float(base[f"p_{ref}"]))
    assert float(scored["score"]) == pytest.approx(ratio, abs=1e-4)
    assert run(["variants", *arguments, str(tmp_path / "two.csv"), "--both-strands"]) == 0
    assert rows(tmp_path / "two.csv")[0]["score"] != scored["score"]
