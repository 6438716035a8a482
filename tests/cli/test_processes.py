"""Commands that use a model in two processes: the output is that of one, written once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cmgems.cli import launch
from cmgems.cli.main import run
from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.genome import GenomeStore, decode
from cmgems.motifs import discover_motifs

COMMANDS = {
    "predict": "predict labels s.fa -o {}.csv --batch-tokens 40",
    "embed": "embed lm s.fa -o {}.npy --pool none --batch-tokens 40",
    "score": "score lm s.fa -o {}.csv --batch-tokens 40",
    "both_strands": "predict labels s.fa -o {}.csv --batch-tokens 40 --both-strands",
    "explain": "explain labels s.fa -o {} --batch-tokens 40",
    "variants": "variants lm c.vcf --store store -o {}.csv --batch-tokens 40",
}
OUTPUTS = {"predict": "{}.csv", "embed": "{}.npy", "explain": "{}/bases.csv"}


@pytest.fixture(scope="module")
def place(tmp_path_factory, save_tiny, small_genome) -> Path:
    """Two models, a store, and sequences and variants for many batches."""
    folder = tmp_path_factory.mktemp("place")
    for name, head, labels in (("lm", "masked_lm", []), ("labels", "classification", ["a", "b"])):
        save_tiny(folder / name, head, labels)
    (folder / "store").symlink_to(small_genome.store)
    letters = decode(GenomeStore.open(small_genome.store).codes[:400])
    lengths = np.random.default_rng(0).integers(5, 90, 12)
    (folder / "s.fa").write_text("".join(f">s{n}\n{letters[:length]}\n" for n, length in enumerate(lengths)))
    calls = [f"contig0\t{p}\t.\t{letters[p - 1]}\t{'CA'[letters[p - 1] == 'C']}" for p in range(50, 150)]
    (folder / "c.vcf").write_text("\n".join(["#CHROM\tPOS\tID\tREF\tALT", *calls, ""]))
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_words_are_run_in_each_process(place, monkeypatch, command):
    started = []
    monkeypatch.chdir(place)
    monkeypatch.setattr(launch, "launch", lambda *what: started.append(what) or 3)
    words = [*COMMANDS[command].format("new").split(), "--nproc-per-node", "2"]
    assert run([*words, "--debug"]) == 3
    ((given, processes, nodes),) = started
    assert (given, processes, nodes.count) == (words, 2, 1)
    assert not list(place.glob("new*"))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_two_processes_write_what_one_does(place, monkeypatch, command):
    monkeypatch.chdir(place)
    assert run(COMMANDS[command].format(f"{command}1").split()) == 0
    two = [*COMMANDS[command].format(f"{command}2").split(), "--nproc-per-node", "2"]
    done = subprocess.run([sys.executable, "-m", "cmgems", *two], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{command}2")
    assert done.stdout.count("\n") == 1
    output = OUTPUTS.get(command, "{}.csv")
    one, other = (Path(output.format(f"{command}{n}")).read_bytes() for n in (1, 2))
    assert one == other


@pytest.mark.slow
def test_a_bad_record_is_told_once_and_nothing_is_written(place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    (tmp_path / "s.fa").write_text(">a\nACGTACGT\n>b\nACGU\n")
    command = [
        "predict",
        "labels",
        str(tmp_path / "s.fa"),
        "-o",
        str(tmp_path / "p.csv"),
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "cmgems", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "contig b, position 4" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["s.fa"]
    command.append("--skip-invalid")
    done = subprocess.run(
        [sys.executable, "-m", "cmgems", *command], capture_output=True, text=True, check=True
    )
    assert done.stderr == f"1 record skipped, named in {tmp_path / 'p.skipped.csv'}\n"
    assert done.stdout == f"{tmp_path / 'p.csv'}: 1 sequences\n"


def test_motifs_are_found_in_one_process():
    several = SimpleNamespace(world=World(rank=0, size=2))
    with pytest.raises(CmgemsError, match=r"motifs are found in one process: .*; start it without torchrun"):
        discover_motifs(several, "a.fa", "b.fa")
