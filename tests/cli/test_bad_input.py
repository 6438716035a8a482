"""What a user gets for a mistake: one line, the right exit code, nothing half-written."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cmgems.cli.main import run
from cmgems.models import MODELS, save_model
from cmgems.pmi import PMITable
from cmgems.tokenization import TOKENIZERS

DNA = "ACGTTGCAAC" * 30


@dataclass(frozen=True)
class Place:
    """A folder with something of everything."""

    folder: Path
    store: Path
    table: Path
    labelled: Path

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def pretrain(self, *overrides: str) -> list[str]:
        return [
            *(
                "run",
                "pretrain",
                "--config",
                "tiny",
                f"data.store={self.store}",
                f"masking.table={self.table}",
            ),
            *("data.split.block_bp=2000", "compute.threads=1", *overrides, "-o", str(self.folder / "run")),
        ]

    def finetune(self, *overrides: str) -> list[str]:
        return ["run", "finetune", "--config", "tiny", f"data.dir={self.labelled}", "compute.threads=1",
                *overrides, "-o", str(self.folder / "run")]  # fmt: skip

    def build(self, fasta: str) -> list[str]:
        return ["genome", "build", fasta, "-o", str(self.folder / "new_store")]

    def variants(self, record: str) -> list[str]:
        vcf = f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{record}\n"
        return ["variants", self.model(), self.write("c.vcf", vcf), "--store", str(self.store),
                "-o", str(self.folder / "o.csv")]  # fmt: skip

    def model(self, name: str = "model", preset: str = "logo_tiny", head: str = "masked_lm") -> str:
        folder = self.folder / name
        folder.mkdir()
        config = MODELS.get(preset)
        save_model(
            folder,
            config.masked_lm() if head == "masked_lm" else config.classifier(2),
            model_name=preset,
            config=config,
            head=head,
            tokenizer_name="kmer6",
            tokenizer=TOKENIZERS.get("kmer6"),
            labels=["0", "1"] if head == "classification" else None,
        )
        return str(folder)


@pytest.fixture
def place(tmp_path, small_genome, small_labelled) -> Place:
    return Place(tmp_path, small_genome.store, small_genome.table, small_labelled)


def of_another_model(place: Place) -> list[str]:
    """A model folder whose weights were replaced by those of another model."""
    ours, other = Path(place.model("ours")), Path(place.model("other", "dnabert_tiny"))
    weights = (other / "model.safetensors").read_bytes()
    (ours / "model.safetensors").write_bytes(weights)
    info = json.loads((ours / "model.json").read_text())
    info["sha256"] = hashlib.sha256(weights).hexdigest()
    (ours / "model.json").write_text(json.dumps(info))
    return place.finetune(f"model={ours}")


def flipped_bit(place: Place) -> list[str]:
    folder = Path(place.model())
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-5] ^= 4
    (folder / "model.safetensors").write_bytes(weights)
    return ["export", str(folder), "-o", str(place.folder / "hf")]


def truncated_table(place: Place) -> list[str]:
    path = place.write("pmi.safetensors", place.table.read_bytes()[:1000])
    return place.pretrain(f"masking.table={path}")


def csv_table(edit: Callable[[list[str]], object]) -> Callable[[Place], list[str]]:
    """A run with the table as CSV, its lines edited."""

    def make(place: Place) -> list[str]:
        path = place.folder / "pmi.csv"
        PMITable.load(place.table).to_csv(path)
        lines = path.read_text().splitlines()
        edit(lines)
        path.write_text("\n".join(lines))
        return place.pretrain(f"masking.table={path}")

    return make


def cell(row: int, column: int, value: str) -> Callable[[list[str]], None]:
    def edit(lines: list[str]) -> None:
        cells = lines[row].split(",")
        cells[column] = value
        lines[row] = ",".join(cells)

    return edit


def store_too_small_to_count(place: Place) -> list[str]:
    run(["genome", "build", place.write("s.fa", ">a\nACGTNACGT\n"), "-o", str(place.folder / "small")])
    return ["pmi", "build", str(place.folder / "small"), "-o", str(place.folder / "t.safetensors")]


def damaged_store(place: Place) -> list[str]:
    store = place.folder / "store"
    shutil.copytree(place.store, store)
    with open(store / "codes.bin", "ab") as handle:
        handle.write(b"\0")
    return ["genome", "info", str(store)]


def busy_folder(place: Place) -> list[str]:
    place.write("run/notes.txt", "mine")
    return place.pretrain()


# What goes wrong -> the command, and a piece of the line that answers it.
MISTAKES = {
    "missing file": (lambda p: p.build("nothing.fa"), "nothing.fa"),
    "a folder for a file": (lambda p: p.build(str(p.folder)), "not a file"),
    "empty FASTA": (lambda p: p.build(p.write("e.fa", "")), "e.fa"),
    "protein FASTA": (lambda p: p.build(p.write("p.fa", ">prot\nMKVLAAGIEF\n")), "prot"),
    "RNA": (lambda p: p.build(p.write("r.fa", ">rna\nACGUUU\n")), "RNA"),
    "truncated gzip": (
        lambda p: p.build(p.write("t.fa.gz", gzip.compress(f">a\n{DNA * 50}\n".encode())[:-20])),
        "t.fa.gz",
    ),
    "plain text named .gz": (lambda p: p.build(p.write("n.fa.gz", "no FASTA at all\n")), "n.fa.gz"),
    "no header": (lambda p: p.build(p.write("h.fa", DNA + "\n")), "h.fa"),
    "the same contig twice": (lambda p: p.build(p.write("d.fa", f">a\n{DNA}\n>a\n{DNA}\n")), "'a'"),
    "store in use": (
        lambda p: ["genome", "build", p.write("g.fa", f">a\n{DNA}\n"), "-o", str(p.store)],
        "--force",
    ),
    "no store": (lambda p: ["pmi", "build", "nowhere", "-o", str(p.folder / "t.safetensors")], "cmgems genome build"),
    "damaged store": (damaged_store, "codes.bin"),
    "k out of range": (
        lambda p: ["pmi", "build", str(p.store), "-o", str(p.folder / "t.safetensors"), "--k", "12"],
        "--k",
    ),
    "unknown PMI definition": (
        lambda p: ["pmi", "build", str(p.store), "-o", str(p.folder / "t.safetensors"), "--definition", "exat"],
        "exact",
    ),
    "truncated table": (truncated_table, "pmi.safetensors"),
    "table of another k": (lambda p: p.pretrain("tokenizer=kmer4"), "k"),
    "k of the tokens out of range": (lambda p: p.pretrain("tokenizer=kmer4", "tokenizer.k=9"), "k = 3, 4, 5 or 6"),
    "table without a k-mer": (csv_table(lambda lines: lines.pop(7)), "missing"),
    "table with a k-mer twice": (csv_table(lambda lines: lines.append(lines[3])), "twice"),
    "table of another vocabulary": (csv_table(cell(2, 0, "ACGUUU")), "'ACGUUU' is not a 6-mer"),
    "table with NaN": (csv_table(cell(2, 3, "nan")), "NaN"),
    "ranks that are no permutation": (csv_table(cell(2, 4, "1")), "not a permutation"),
    "store too small to count": (store_too_small_to_count, "no 6-mer"),
    "no validation token is masked": (
        lambda p: p.pretrain("validation.rate=1e-6", "validation.sequences=1"), "validation.rate"
    ),
    "nothing but N to mask": (lambda p: ["mask", "stats", p.write("n.fa", ">n\nNNNNNNNNNN\n")], "n.fa"),
    "rate of a preview out of range": (
        lambda p: ["mask", "preview", p.write("s.fa", f">a\n{DNA}\n"), "--rate", "1"], "between 0 and 1"
    ),
    "unknown curriculum": (lambda p: p.pretrain("masking.curriculum=cm_gem"), "cm_gems"),
    "no table": (lambda p: p.pretrain("masking.table=null"), "cmgems pmi build"),
    "unknown config key": (lambda p: p.pretrain("optim.lr_rate=1"), "optim.lr"),
    "wrong type": (lambda p: p.pretrain("steps=many"), "`steps` must be a whole number"),
    "a value out of range": (lambda p: p.pretrain("masking.rate=1.5"), "between 0 and 1"),
    "unknown component": (lambda p: p.pretrain("model=lgo"), "'logo'"),
    "unknown option of a component": (lambda p: p.pretrain("model.layer=3"), "layers"),
    "unknown strategy": (
        lambda p: p.pretrain("masking.curriculum=fixed", "masking.curriculum.masking=genemsak"),
        "genemask",
    ),
    "unknown recipe": (lambda p: ["run", "pretrian"], "pretrain"),
    "unknown config": (lambda p: ["run", "pretrain", "--config", "logo_smal"], "'logo_small'"),
    "override without =": (lambda p: p.pretrain("steps"), "steps"),
    "config that is no YAML": (lambda p: ["validate", p.write("c.yaml", "recipe: pretrain\nsteps: [1\n")], "c.yaml:"),
    "broken recipe": (
        lambda p: ["run", p.write("my.py", "def main(:\n")],
        "my.py:1",
    ),
    "folder that is no run": (busy_folder, "choose another -o"),
    "no data folder": (lambda p: p.finetune("data.dir=nowhere"), "nowhere"),
    "no checkpoint": (lambda p: p.finetune("model=./nowhere"), "nowhere"),
    "checkpoint of another model": (of_another_model, "another"),
    "a flipped bit": (flipped_bit, "sha256"),
    "predict with a model that was only pretrained": (
        lambda p: ["predict", p.model(), p.write("s.fa", f">a\n{DNA}\n"), "-o", str(p.folder / "o.csv")],
        "cmgems run finetune",
    ),
    "sequence shorter than k": (
        lambda p: ["predict", p.model(head="classification"), p.write("s.fa", ">ok\nACGTACGT\n>tiny\nACG\n"),
                   "-o", str(p.folder / "o.csv")],
        "tiny",
    ),
    "overlap as long as a window": (
        lambda p: ["predict", p.model(head="classification"), p.write("s.fa", f">a\n{DNA * 2}\n"),
                   "-o", str(p.folder / "o.csv"), "--overlap", "515"],
        "--overlap",
    ),
    "embed to an unknown kind of file": (
        lambda p: ["embed", p.model(), p.write("s.fa", f">a\n{DNA}\n"), "-o", str(p.folder / "o.pkl")], ".parquet"
    ),
    "embed a layer that is not there": (
        lambda p: ["embed", p.model(), p.write("s.fa", f">a\n{DNA}\n"), "-o", str(p.folder / "o.npy"),
                   "--layer", "3"],
        "the model has 2 layers",
    ),
    "embed nothing but N": (
        lambda p: ["embed", p.model(), p.write("s.fa", f">a\n{DNA}\n>gap\n{'N' * 50}\n"),
                   "-o", str(p.folder / "o.npy")],
        "gap",
    ),
    "CSV without sequences": (
        lambda p: ["embed", p.model(), p.write("s.csv", "name,bases\na,ACGT\n"), "-o", str(p.folder / "o.npy")],
        "s.csv:1",
    ),
    "BED without a store": (
        lambda p: ["embed", p.model(), p.write("s.bed", "contig0\t0\t50\n"), "-o", str(p.folder / "o.npy")],
        "--store",
    ),
    "BED beyond a contig": (
        lambda p: ["score", p.model(), p.write("s.bed", "contig0\t0\t50000\n"), "--store", str(p.store),
                   "-o", str(p.folder / "o.csv")],
        "s.bed:1",
    ),
    "score letters that are no bases": (
        lambda p: ["score", p.model(), p.write("s.csv", "sequence\nACGTACXGT\n"), "-o", str(p.folder / "o.csv")],
        "position 7",
    ),
    "score with a classifier": (
        lambda p: ["score", p.model(head="classification"), p.write("s.fa", f">a\n{DNA}\n"),
                   "-o", str(p.folder / "o.csv")],
        "masked language model",
    ),
    "variants of another genome": (
        lambda p: p.variants("contig1\t1\t.\tACGTACGTACGTAC\tA\t.\t.\t."), "c.vcf:3"
    ),
    "variants of a contig that is not there": (lambda p: p.variants("contig\t1\t.\tA\tC\t.\t.\t."), "'contig0'"),
    "variants beyond a contig": (lambda p: p.variants("contig1\t20001\t.\tA\tC\t.\t.\t."), "20,000 bp"),
    "an allele that is no DNA": (lambda p: p.variants("contig1\t1\t.\tN\tQ\t.\t.\t."), "'Q'"),
    "a broken VCF": (lambda p: p.variants("contig1 1 . A C . . ."), "c.vcf:3"),
    "variants that are no VCF": (
        lambda p: ["variants", p.model(), p.write("c.vcf", f">a\n{DNA}\n"), "--store", str(p.store),
                   "-o", str(p.folder / "o.csv")],
        "c.vcf",
    ),
    "export folder in use": (lambda p: ["export", p.model(), "-o", str(p.folder)], "output exists"),
    "copy onto a file": (lambda p: ["cp", "pretrain", p.write("mine.py", "precious")], "--force"),
    "unknown command": (lambda p: ["pretain"], "pretain"),
    "missing option": (lambda p: ["export", "x"], "--out"),
}  # fmt: skip


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_line_exit_2_nothing_written(mistake, place, capsys, monkeypatch):
    make, expected = MISTAKES[mistake]
    arguments = make(place)
    monkeypatch.chdir(place.folder)
    before = snapshot(place.folder)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    left = {name: content for name, content in snapshot(place.folder).items() if name not in before}
    # A run that fails on its data has already noted its config; that is no half-written result.
    assert set(left) <= {"run", "run/config.yaml", "run/.lock"}
    assert all(snapshot(place.folder)[name] == content for name, content in before.items())


def test_several_mistakes_are_reported_at_once(place, capsys):
    assert run(place.pretrain("steps=many", "optim.lr_rate=1", "model=lgo")) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)


def test_a_full_disk_while_saving_keeps_the_last_good_checkpoint(place, capsys, monkeypatch):
    replace, saved = os.replace, []

    def full_after_one(source, target):
        if Path(target).name.startswith("step_"):
            if saved:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
            saved.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", full_after_one)
    assert run(place.pretrain()) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "no space left" in errors[0]
    out = place.folder / "run"
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step_00000005"]
    assert not list(out.rglob(".partial-*"))

    monkeypatch.setattr(os, "replace", replace)
    assert run(place.pretrain()) == 0  # the same command goes on from there
