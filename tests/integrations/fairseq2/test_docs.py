"""The page about fairseq2 and the shipped configs run as they are."""

from __future__ import annotations

import gzip
import re
import shlex
import sys
from pathlib import Path

import pytest
from fairseq2.recipe import main
from safetensors import safe_open

from cmgems.cli.main import run
from cmgems.integrations.fairseq2.finetune import FinetuneRecipe
from cmgems.integrations.fairseq2.pretrain import PretrainRecipe
from cmgems.recipes import fairseq2_files

TOP = Path(__file__).parents[3]
PAGE = (TOP / "docs" / "fairseq2.md").read_text()


def recipe(what, arguments, monkeypatch):
    """Run the command line of a recipe in this process."""
    monkeypatch.setattr(sys, "argv", ["recipe", *arguments, "--no-rich"])
    main(what)


def test_the_complete_example_runs(small_genome, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.fa.gz").write_bytes(gzip.compress(small_genome.fasta.read_bytes()))
    Path("seqs.fa").write_text(">a\nACGTTGCAACGTAC\n>b\nGGGCCATTTAGG\n")
    commands = re.search(r"## From FASTA.*?```console\n(.*?)```", PAGE, re.DOTALL).group(1).splitlines()
    assert len(commands) == 6
    for command in commands:
        words = shlex.split(command.removeprefix("$ "))
        if words[0] == "cmgems":
            assert run(words[1:]) == 0, command
        else:
            assert words[:3] == ["python", "-m", "cmgems.integrations.fairseq2"]
            recipe(PretrainRecipe(), words[3:], monkeypatch)
    with safe_open("hf/model.safetensors", "pt") as weights:
        assert "bert.embeddings.word_embeddings.weight" in weights.keys()  # noqa: SIM118 - it is no dict


def test_the_python_code_runs(resolver, monkeypatch, capsys):
    monkeypatch.setattr("fairseq2.init_fairseq2", lambda: resolver)
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    exec(compile(code, "fairseq2.md", "exec"), {})
    assert re.findall(r"\d+", capsys.readouterr().out) == re.findall(r"# tensor\((.*)\)", code)[0].strip(
        "[]"
    ).split(", ")


@pytest.mark.parametrize("name", [name for name in fairseq2_files() if "/" in name])
def test_every_shipped_config_runs(name, small_genome, small_labelled, tmp_path, monkeypatch):
    config = ["--config-file", str(fairseq2_files()[name]), "--config", "regime.num_steps=4"]
    config += ["lr_scheduler.config.num_warmup_steps=2", "trainer.mixed_precision.mode=off"]
    config += ["regime.validate_every_n_steps=2", "regime.checkpoint_every_n_steps=2"]
    config += ["regime.publish_metrics_every_n_steps=2"]
    overrides = "dataset.config_overrides"
    if name == "fairseq2/finetune":
        config += [f"{overrides}.data.dir={small_labelled}", "model.config_overrides.name=logo_tiny"]
        recipe(FinetuneRecipe(), [str(tmp_path / "run"), *config], monkeypatch)
    else:
        config += [
            f"{overrides}.data.store={small_genome.store}",
            f"{overrides}.masking.table={small_genome.table}",
        ]
        config += [
            "model.arch=logo_tiny",
            f"{overrides}.data.split.by=block",
            f"{overrides}.data.split.block_bp=1000",
        ]
        config += [f"{overrides}.sequences=50", f"{overrides}.data.sampler.max_bp=60"]
        config += [f"{overrides}.validation.sequences=16"]
        recipe(PretrainRecipe(), [str(tmp_path / "run"), *config], monkeypatch)
    assert (tmp_path / "run" / "checkpoints" / "step_4" / "model.json").is_file()


def test_a_copied_recipe_is_the_recipe(tmp_path):
    for name in ("fairseq2_pretrain", "fairseq2_finetune"):
        assert run(["cp", name, str(tmp_path)]) == 0
        source = fairseq2_files()[name]
        assert (tmp_path / source.name).read_bytes() == source.read_bytes()
        assert 'if __name__ == "__main__":' in source.read_text()
