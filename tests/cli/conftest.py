"""A folder with something of everything, good and bad, for the table of mistakes."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cmgems.export import export_huggingface
from cmgems.genome import GenomeStore
from cmgems.models import MODELS, Head, build_model, load_model, save_model
from cmgems.pmi import PMITable
from cmgems.tokenization import TOKENIZERS

DNA = "ACGTTGCAAC" * 30
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

FILES: dict[str, str | bytes] = {
    # Good ones.
    "s.fa": f">a\n{DNA}\n>b\n{DNA}\n",
    "long.fa": f">a\n{DNA * 2}\n",
    "s.csv": f"name,sequence\na,{DNA}\n",
    "s.bed": "contig0\t0\t50\n",
    "s.vcf": VCF + "contig1\t1\t.\tN\tC\t.\t.\t.\n",
    "mine.py": "precious",
    "notes/notes.txt": "mine",
    # Sequences.
    "empty.fa": "",
    "blank.fa": "\n\n",
    "protein.fa": ">prot\nMKVLAAGIEF\n",
    "rna.fa": ">rna\nACGUUU\n",
    "gaps.fa": ">a\nAC--GT\n",
    "masked.fa": f">a\n{DNA}XXXX\n",
    "digits.fa": ">a\n1 ACGTACGT 9\n",
    "nul.fa": b">a\nACGT\0ACGT\n",
    "latin1.fa": b">caf\xe9\nACGT\n",
    "noname.fa": f">\n{DNA}\n",
    "nobases.fa": f">a\n{DNA}\n>telomere\n>c\n{DNA}\n",
    "noheader.fa": DNA + "\n",
    "twice.fa": f">a\n{DNA}\n>a\n{DNA}\n",
    "cr.fa": f">a\r{DNA}\r".encode(),
    "utf16.fa": f">a\n{DNA}\n".encode("utf-16"),
    "cut.fa.gz": gzip.compress(f">a\n{DNA * 50}\n".encode())[:-20],
    "named.fa.gz": "no FASTA at all\n",
    "onlyn.fa": ">n\nNNNNNNNNNN\n",
    "gap.fa": f">a\n{DNA}\n>gap\n{'N' * 50}\n",
    "short.fa": ">ok\nACGTACGT\n>tiny\nACG\n",
    "tiny.fa": ">a\nACGTNACGT\n",
    # Other kinds.
    "x.zip": b"PK\x03\x04" + bytes(40),
    "x.bam": b"BAM\x01" + bytes(40),
    "x.2bit": b"\x43\x27\x41\x1a" + bytes(40),
    "x.png": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "x.html": "<!DOCTYPE html><p>404",
    "x.pdf": b"%PDF-1.7\n" + bytes(40),
    # CSV of sequences.
    "empty.csv": "",
    "nocolumn.csv": "name,bases\na,ACGT\n",
    "nodna.csv": "sequence\nACGTACXGT\n",
    "norows.csv": "name,sequence\n",
    "wide.csv": f"name,sequence\na,{DNA},1,2\n",
    "norow.csv": "name,sequence\na,\n",
    "utf16.csv": f"name,sequence\na,{DNA}\n".encode("utf-16"),
    # BED.
    "beyond.bed": "contig0\t0\t50000\n",
    "negative.bed": "contig0\t-5\t50\n",
    "backwards.bed": "contig0\t50\t5\n",
    "void.bed": "contig0\t0\t50\ncontig0\t7\t7\n",
    "spaces.bed": "contig0 0 50\n",
    "words.bed": "contig0\tzero\tfifty\n",
    "unknown.bed": "Contig0\t0\t50\n",
    "huge.bed": f"contig0\t0\t{'9' * 40}\n",
    "empty.bed": "",
    # VCF.
    "noheader.vcf": "contig1\t1\t.\tA\tC\t.\t.\t.\n",
    "norecords.vcf": VCF,
    "fasta.vcf": f">a\n{DNA}\n",
    "empty.vcf": "",
    "spaces.vcf": VCF + "contig1 1 . A C . . .\n",
    "other.vcf": VCF + "contig1\t1\t.\tACGTACGTACGTAC\tA\t.\t.\t.\n",
    "unknown.vcf": VCF + "contig\t1\t.\tA\tC\t.\t.\t.\n",
    "beyond.vcf": VCF + "contig1\t20001\t.\tA\tC\t.\t.\t.\n",
    "zero.vcf": VCF + "contig1\t0\t.\tA\tC\t.\t.\t.\n",
    "position.vcf": VCF + "contig1\tfirst\t.\tA\tC\t.\t.\t.\n",
    "nodna.vcf": VCF + "contig1\t1\t.\tN\tQ\t.\t.\t.\n",
    # Configs, recipes, plugins.
    "list.yaml": "- recipe: pretrain\n",
    "broken.yaml": "recipe: pretrain\nsteps: [1\n",
    "tabs.yaml": "recipe: pretrain\ndata:\n\tstore: store\n",
    "twice.yaml": "recipe: pretrain\nsteps: 1\nsteps: 2\ndata: {store: store}\n",
    "anchor.yaml": "recipe: pretrain\ndata: &a {store: store}\n",
    "tag.yaml": "recipe: pretrain\nsteps: !!python/object/apply:os.getcwd []\n",
    "quoted.yaml": "recipe: pretrain\nsteps: '20'\ndata: {store: store}\n",
    "utf16.yaml": "recipe: pretrain\n".encode("utf-16"),
    "norecipe.yaml": "steps: 20\n",
    "unknown.yaml": "recipe: pretrian\n",
    "finetune.yaml": "recipe: finetune\ndata: {dir: labelled}\n",
    "broken.py": "def main(:\n",
    "noconfig.py": "def main(config, out): ...\n",
    "raises.py": "raise ValueError('not today')\n",
    "needs.py": "import a_package_that_is_not_there\n",
    # Labelled sets: each a folder.
    "l_empty/train.csv": "",
    "l_header/train.csv": "sequence,label\n",
    "l_columns/train.csv": "seq,class\nACGTACGT,1\n",
    "l_label/train.csv": "sequence,label\nACGTACGT,1\nACGTACGA,\n",
    "l_short/train.csv": "sequence,label\nACGTACGT,1\nACGTACGA\n",
    "l_dna/train.csv": "sequence,label\nACGTACGT,1\nACGTACGE,0\n",
    "l_one/train.csv": "sequence,label\nACGTACGT,1\nACGTACGA,1\n",
    "l_new/train.csv": "sequence,label\nACGTACGT,1\nACGTACGA,0\n",
    "l_new/test.csv": "sequence,label\nACGTACGG,2\n",
    "l_notest/train.csv": "sequence,label\nACGTACGT,1\nACGTACGA,0\n",
    "l_nan/train.csv": "sequence,label\nACGTACGT,1.5\nACGTACGA,oops\n",
    "l_nan/test.csv": "sequence,label\nACGTACGG,2\n",
    "l_utf16/train.csv": "sequence,label\nACGTACGT,1\n".encode("utf-16"),
    "l_words/train.tsv": "sequence\tlabel\nACG GTT CCC\t1\n",
}


def edited(path: Path, to: Path, **changes: object) -> None:
    """A JSON file with other values."""
    to.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_model(folder: Path, preset: str = "logo_tiny", head: str = "masked_lm") -> None:
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


def write_models(folder: Path) -> None:
    """``lm`` and ``ft``, the export ``hf`` of the first, and damaged copies of them."""
    write_model(folder / "lm")
    write_model(folder / "ft", head="classification")
    write_model(folder / "other", "dnabert_tiny")
    export_huggingface(load_model(folder / "lm"), folder / "hf")
    for name in ("m_flipped", "m_cut", "m_other", "m_info", "m_huge", "m_noweights", "m_plugin"):
        shutil.copytree(folder / "lm", folder / name)
    weights = (folder / "lm" / "model.safetensors").read_bytes()
    (folder / "m_flipped" / "model.safetensors").write_bytes(
        weights[:-5] + bytes([weights[-5] ^ 4]) + weights[-4:]
    )
    (folder / "m_cut" / "model.safetensors").write_bytes(weights[:1000])
    (folder / "m_noweights" / "model.safetensors").unlink()
    (folder / "m_info" / "model.json").write_text("{")
    info = folder / "lm" / "model.json"
    model = json.loads(info.read_text())["model"]
    huge = {"name": model["name"], "options": model["options"] | {"max_positions": 2**40}}
    edited(info, folder / "m_huge" / "model.json", model=huge)
    edited(info, folder / "m_plugin" / "model.json", model=model | {"name": "my_plugin_model"})
    foreign = (folder / "other" / "model.safetensors").read_bytes()
    (folder / "m_other" / "model.safetensors").write_bytes(foreign)
    edited(info, folder / "m_other" / "model.json", sha256=hashlib.sha256(foreign).hexdigest())
    for name in ("h_config", "h_weights", "h_family"):
        shutil.copytree(folder / "hf", folder / name)
    (folder / "h_config" / "config.json").write_text("[")
    (folder / "h_weights" / "model.safetensors").unlink()
    edited(folder / "hf" / "config.json", folder / "h_family" / "config.json", model_type="gpt2")


def write_tables(folder: Path, table: Path) -> None:
    """``pmi.safetensors``, and damaged tables."""
    shutil.copy(table, folder / "pmi.safetensors")
    (folder / "t_cut.safetensors").write_bytes(table.read_bytes()[:1000])
    PMITable.load(table).to_csv(folder / "pmi.csv")
    lines = (folder / "pmi.csv").read_text().splitlines()
    first = lines[2].split(",")
    damage = {
        "missing": [*lines[:7], *lines[8:]],
        "twice": [*lines, lines[3]],
        "rna": [*lines[:2], ",".join(["ACGUUU", *first[1:]]), *lines[3:]],
        "nan": [*lines[:2], ",".join([*first[:3], "nan", first[4]]), *lines[3:]],
        "inf": [*lines[:2], ",".join([*first[:3], "inf", first[4]]), *lines[3:]],
        "negative": [*lines[:2], ",".join([first[0], "-1", *first[2:]]), *lines[3:]],
        "huge": [*lines[:2], ",".join([first[0], "1" * 30, *first[2:]]), *lines[3:]],
        "ranks": [*lines[:2], ",".join([*first[:4], "1"]), *lines[3:]],
        "header": lines[1:],
        "columns": [lines[0].replace("npmi", "score"), *lines[1:]],
    }
    for name, edited_lines in damage.items():
        (folder / f"t_{name}.csv").write_text("\n".join(edited_lines) + "\n")


def write_stores(folder: Path, store: Path) -> None:
    """``store``, one too small to count, and damaged copies."""
    shutil.copytree(store, folder / "store")
    GenomeStore.build(folder / "tiny.fa", folder / "small")
    for name in ("g_codes", "g_index", "g_lengths", "g_version"):
        shutil.copytree(store, folder / name)
    with open(folder / "g_codes" / "codes.bin", "ab") as handle:
        handle.write(b"\0")
    (folder / "g_index" / "index.json").write_text("{")
    edited(store / "index.json", folder / "g_lengths" / "index.json", lengths=[20000, 20000.5])
    edited(store / "index.json", folder / "g_version" / "index.json", version=99)
    shutil.copytree(store, folder / "g_flipped")
    codes = bytearray((folder / "g_flipped" / "codes.bin").read_bytes())
    codes[7] ^= 1
    (folder / "g_flipped" / "codes.bin").write_bytes(codes)


@pytest.fixture(scope="session")
def save_tiny() -> Callable[[Path, Head, list[str]], None]:
    """``save_tiny(folder, "classification", ["a", "b"])``: the same tiny LOGO of 3-mers, for 30 bp at once."""

    def save(folder: Path, head: Head, labels: list[str]) -> None:
        torch.manual_seed(0)
        config = MODELS.build("logo_tiny", vocab_size=69, max_positions=30)
        folder.mkdir(exist_ok=True)
        save_model(
            folder,
            build_model(config, head, len(labels)),
            model_name="logo_tiny",
            config=config,
            head=head,
            tokenizer_name="kmer3",
            tokenizer=TOKENIZERS.get("kmer3"),
            labels=labels,
        )

    return save


@pytest.fixture(scope="session")
def everything(tmp_path_factory, small_genome, small_labelled) -> Path:
    """The folder; tests must leave it as it is."""
    folder: Path = tmp_path_factory.mktemp("everything")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    write_stores(folder, small_genome.store)
    write_tables(folder, small_genome.table)
    write_models(folder)
    shutil.copytree(small_labelled, folder / "labelled")
    (folder / "nothing").mkdir()
    return folder
