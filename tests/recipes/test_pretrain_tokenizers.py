"""The pretrain recipe with the tokenizers of the Nucleotide Transformer and with BPE."""

from __future__ import annotations

import json
import math

import pytest

from cmgems.cli.main import run
from cmgems.models import load_model
from cmgems.runs import read_metric_log


def command(small_genome, out, *overrides):
    return [
        "run", "pretrain", "--config", "tiny", *small_genome.overrides(), "model=logo_tiny", "steps=2",
        "data.split.block_bp=2000", "compute.threads=1", "masking.curriculum=fixed", *overrides, "-o", str(out),
    ]  # fmt: skip


def losses(out):
    return [record["loss"] for record in read_metric_log(out / "metrics.jsonl") if "loss" in record]


@pytest.mark.parametrize(
    "masking",
    [
        "random_span",
        "genemask",
        pytest.param("uniform", marks=pytest.mark.slow),
        pytest.param("global_pmi", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", ["nt_v1", "nt_v2"])
def test_nucleotide_transformer(small_genome, tmp_path, name, masking):
    overrides = [f"tokenizer={name}", f"masking.curriculum.masking={masking}"]
    assert run(command(small_genome, tmp_path / "run", *overrides)) == 0
    saved = load_model(tmp_path / "run")
    assert (saved.tokenizer_name, saved.config.vocab_size) == (name, saved.tokenizer.vocab_size)
    first, last = losses(tmp_path / "run")
    assert first == pytest.approx(math.log(saved.tokenizer.vocab_size), abs=0.3)
    assert math.isfinite(last)


@pytest.mark.parametrize("curriculum", ["cm_gems", "loss_weighted", "annealed"])
def test_single_bases(small_genome, tmp_path, curriculum):
    overrides = ["model=modernbert_tiny", "tokenizer=base", f"masking.curriculum={curriculum}"]
    overrides += ["steps=4", "validation.every=2"]
    assert run(command(small_genome, tmp_path / "run", *overrides)) == 0
    saved = load_model(tmp_path / "run")
    assert (saved.tokenizer_name, saved.config.vocab_size) == ("base", 10)
    assert losses(tmp_path / "run")[0] == pytest.approx(math.log(10), abs=0.3)
    baselines = json.loads((tmp_path / "run" / "baselines.json").read_text())
    assert baselines["unigram"]["loss"] < math.log(4)  # some bases are left as they are
    if curriculum == "loss_weighted":
        records = read_metric_log(tmp_path / "run" / "metrics.jsonl")
        assert any(math.isfinite(record.get("loss_tenth_10", math.nan)) for record in records)


@pytest.mark.parametrize(
    ("masking", "table"),
    [
        ("uniform", False),
        ("random_span", True),
        ("random_span", False),
        ("genemask", True),
        ("global_pmi", True),
    ],
)
def test_bpe(small_genome, small_bpe, tmp_path, masking, table):
    file = tmp_path / "tokenizer.json"
    file.write_text(small_bpe.read_text())
    overrides = ["tokenizer=bpe", f"tokenizer.file={file}", f"masking.curriculum.masking={masking}"]
    overrides += [] if table else ["masking.table=null"]
    assert run(command(small_genome, tmp_path / "run", *overrides)) == 0
    file.unlink()
    saved = load_model(tmp_path / "run")
    assert (saved.tokenizer_name, saved.config.vocab_size) == ("bpe", 200)
    assert losses(tmp_path / "run")[0] == pytest.approx(math.log(200), abs=0.3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["masking.curriculum.masking=global_pmi", "masking.table=null"],
            "needs a PMI table in masking.table",
        ),
        (["tokenizer.file=absent.json"], "cannot read the tokenizer in absent.json"),
        (["tokenizer.file=null"], "no BPE tokenizer in tokenizer.file"),
        (["data.sampler.max_bp=5000"], "windows of 5000 bp make up to 5002 tokens"),
    ],
)
def test_bpe_mistakes(small_genome, small_bpe, tmp_path, capsys, overrides, message):
    base = ["tokenizer=bpe", f"tokenizer.file={small_bpe}", "masking.curriculum.masking=random_span"]
    assert run(command(small_genome, tmp_path / "run", *base, *overrides)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert message in lines[-1]


@pytest.mark.parametrize("name", ["nt_v2", "bpe"])
def test_a_stopped_run_continues_to_the_bit(small_genome, small_bpe, tmp_path, capsys, name):
    overrides = [
        f"tokenizer={name}",
        "masking.curriculum.masking=random_span",
        "checkpoint.every=2",
        "steps=4",
    ]
    overrides += [f"tokenizer.file={small_bpe}"] if name == "bpe" else []
    for out in ("whole", "stopped"):
        assert run(command(small_genome, tmp_path / out, *overrides)) == 0
    stopped = tmp_path / "stopped"
    expected = losses(tmp_path / "whole")
    for path in (stopped / "summary.json", *stopped.glob("checkpoints/step_*4/manifest.json")):
        path.unlink()
    capsys.readouterr()
    assert run(command(small_genome, stopped, *overrides)) == 0
    assert "2 of 4 steps done" in capsys.readouterr().err
    assert losses(stopped) == expected
