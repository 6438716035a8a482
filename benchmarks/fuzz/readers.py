"""What is fuzzed: each reader, what is written for it, and an independent count of the records in a file.

The counts know nothing of the readers: they look at the lines, or parse with another library.
"""

from __future__ import annotations

import bz2
import hashlib
import json
import lzma
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import made
from damage import damaged
from isal import igzip

PLAIN_BED = (b"#", b"track ", b"browser ")


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes:
        name: What it reads.
        suffix: How its files are called.
        make: A file as users have them, and how many records it has.
        read: Reads a file and returns how many records it found.
        count: The records in a file that was accepted, counted another way.
        words: Of the format, for damage.
        share: Of all inputs.
        code: Modules whose coverage guides atheris; none if the work is done outside Python.
    """

    name: str
    suffix: str
    make: Callable[[Random], made.Made]
    read: Callable[[Path], int]
    count: Callable[[bytes], int]
    words: tuple[bytes, ...] = ()
    share: float = 0.02
    code: tuple[str, ...] = ()

    def input(self, random: Random) -> made.Made:
        """A file as users have them (one in five), or a damaged one, of which nothing is known."""
        data, records = self.make(random)
        if random.random() < 0.2:
            return data, records
        return damaged(data, self.words, random), None


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a text file, plain or compressed, without a byte-order mark and Windows line ends.

    gzip by isal, as xopen does: zlib refuses a bit flipped in a code that no byte uses, where the checksum is right.
    """
    for magic, decompress in (
        (b"\x1f\x8b", igzip.decompress),
        (b"BZh", bz2.decompress),
        (b"\xfd7zXZ", lzma.decompress),
    ):
        if data.startswith(magic):
            data = decompress(data)
    return data.removeprefix(made.UTF8_MARK).replace(b"\r\n", b"\n").split(b"\n")


def _filled(data: bytes) -> list[bytes]:
    return [line for line in lines_of(data) if line.decode(errors="replace").strip()]


def _read_fasta(path: Path) -> int:
    from cmgems.genome import read_fasta

    return sum(1000 + len(record.sequence) for record in read_fasta(path))


def _count_fasta(data: bytes) -> int:
    """A thousand for each record, and its bases; lines that start with a semicolon are comments."""
    lines = [line for line in lines_of(data) if not line.startswith(b";")]
    return sum(1000 if line.startswith(b">") else len(b"".join(line.split())) for line in lines)


def _fasta(random: Random) -> made.Made:
    data, records = made.fasta(random)
    return data, records and _count_fasta(data)


def _read_labels(path: Path) -> int:
    from cmgems.data.columns import Columns
    from cmgems.data.label_files import RowReader
    from cmgems.data.layouts import Layout
    from cmgems.reading import Invalid

    layout = Layout(path.parent, {"train": path}, None, ())
    return len(RowReader(Columns(), Invalid("data.invalid=skip")).read(layout, ["train"])["train"])


def _read_sequences(path: Path) -> int:
    from cmgems.inference.sequences import read_sequences

    return len(read_sequences(path))


def _count_rows(data: bytes) -> int:
    return len(_filled(data)) - 1


def _count_lines(data: bytes) -> int:
    return len(_filled(data))


def _count_sequences(data: bytes) -> int:
    """Of a table; of FASTA, which the reader tells by the first letter, whatever the file is called."""
    lines = _filled(data)
    return sum(line.startswith(b">") for line in lines) if lines[0][:1] in b">;" else len(lines) - 1


def _read_vcf(path: Path) -> int:
    from cmgems.inference.vcf import read_vcf

    return len(list(read_vcf(path)))


def _read_variants(path: Path) -> int:
    from cmgems.inference.variant_table import read_variants

    return len(list(read_variants(path)))


def _count_vcf(data: bytes) -> int:
    return sum(not line.startswith(b"#") for line in _filled(data))


def _read_bed(path: Path) -> int:
    from cmgems.inference.bed import read_bed

    return len(list(read_bed(path)))


def _count_bed(data: bytes) -> int:
    return sum(not line.startswith(PLAIN_BED) for line in _filled(data))


def _read_pmi(path: Path) -> int:
    from cmgems.pmi import PMITable

    return len(PMITable.load(path).count)


def _read_yaml(path: Path) -> int:
    from cmgems.config import load_config
    from cmgems.config.source import Node, read_yaml

    load_config(_pretrain(), path)

    def scalars(node: Node) -> int:
        if isinstance(node.value, dict):
            return sum(1 + scalars(child) for child in node.value.values())
        return sum(map(scalars, node.value)) if isinstance(node.value, list) else 1

    return scalars(read_yaml(path)[0])


@cache
def _pretrain() -> Any:
    from cmgems.recipes import load_recipe

    return load_recipe("pretrain").config_schema


def _count_yaml(data: bytes) -> int:
    import yaml

    return sum(isinstance(event, yaml.ScalarEvent) for event in yaml.parse(data, Loader=yaml.CSafeLoader))


def _read_store(path: Path) -> int:
    """As a run uses it: open, check every byte, and take each contig."""
    from cmgems.genome import GenomeStore

    folder = path.with_name("store")
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_bytes(path.read_bytes())
    (folder / "codes.bin").write_bytes(made.store()[1])
    store = GenomeStore.open(folder)
    store.verify()
    for start, end in store.runs.tolist():
        assert (store.codes[start:end] < 4).all(), "a run of A, C, G, T has another letter"
        assert 0 <= start < end <= store.bases, "a run is empty or outside"
    assert len(set(store.names)) == len(store.names), "two contigs share a name"
    assert all(isinstance(name, str) for name in store.names), "a name is no text"
    assert (store.offsets[1:] > store.offsets[:-1]).all(), "a contig has no bases"
    assert store.valid_bases == 16, "bases were lost"
    return len(store.names)


def _count_names(data: bytes) -> int:
    return len(json.loads(data)["names"])


def _read_model(path: Path) -> int:
    from cmgems.models import load_model

    info, _, weights = path.read_bytes().partition(b"\n")
    folder = path.with_name("model")
    folder.mkdir(exist_ok=True)
    # Damaged weights would all end at their checksum.
    checksum = hashlib.sha256(weights).hexdigest().encode()
    (folder / "model.json").write_bytes(re.sub(rb'(?<="sha256": ")[0-9a-f]{64}', checksum, info))
    (folder / "model.safetensors").write_bytes(weights)
    return len(load_model(folder).model.state_dict())


def _count_tensors(data: bytes) -> int:
    """Of the safetensors file after the first line."""
    weights = data.partition(b"\n")[2]
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    return len(header.keys() - {"__metadata__"})


def _read_tokenizer(path: Path) -> int:
    from cmgems.tokenization import BpeTokenizer

    tokenizer = BpeTokenizer(file=path)
    ids = tokenizer.encode("ACGTNACGGTTA")
    assert tokenizer.decode(ids) == "ACGTNACGGTTA", "bases were lost"
    return tokenizer.vocab_size


def _count_tokens(data: bytes) -> int:
    content = json.loads(data)
    return len(
        content["model"]["vocab"].keys() | {token["content"] for token in content.get("added_tokens", ())}
    )


def _count_kmers(data: bytes) -> int:
    """Of the safetensors file of a PMI table."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return int(header["npmi"]["shape"][0])


TEXT = ("cmgems.reading", "csv")
TABLE = ("cmgems.pmi.formats", "cmgems.pmi.table")
WORDS = {
    "FASTA": (b"\n>", b">a\n", b"RYKM", b"*", b";"),
    "CSV": (b"sequence", b"label", b"name", b",,", b'""', b"\n,", b"ACGT,1"),
    "TSV": (b"sequence\tlabel\n", b"\t\t", b"ACG CGT", b'"\t'),
    "VCF": (b"#CHROM\tPOS", b"##INFO=<ID=", b"<DEL>", b"*", b"]1:5]A", b"\t.\t"),
    "variants": (b"chrom,pos,ref,alt", b"pos", b",,", b'""', b"\n#", b",.,", b"<DEL>"),
    "BED": (b"track name=x\n", b"browser\t", b"\t+", b"\t0\t", b"#"),
    "PMI": (b"kmer,", b"-inf", b"AAA,", b"ACGT", b",64"),
    "YAML": (
        *(b": ", b"- ", b"{", b"}", b"[", b"&a", b"*a", b"<<: ", b"!!python", b"| ", b"steps: ", b"~", b"? "),
        *(b"---\n", b"%YAML", b"recipe: evaluate\n"),
    ),
    "JSON": (b"[]", b"{}", b"[0]", b"1.5", b"null", b'"', b'"x": ', b"[" * 1500),
}
_ALL = [
    Reader("FASTA", ".fa", _fasta, _read_fasta, _count_fasta, WORDS["FASTA"], 0.3,
           ("cmgems.genome.fasta", "cmgems.genome.letters", *TEXT)),
    Reader("labels CSV", ".csv", made.labels_csv, _read_labels, _count_rows, WORDS["CSV"], 0.18,
           ("cmgems.data.columns", "cmgems.data.label_files", *TEXT)),
    Reader("labels TSV", ".tsv", made.labels_tsv, _read_labels, _count_rows, WORDS["TSV"], 0.1,
           ("cmgems.data.columns", "cmgems.data.label_files", *TEXT)),
    Reader("labels JSON lines", ".jsonl", made.labels_jsonl, _read_labels, _count_lines, WORDS["JSON"],
           code=("cmgems.data.columns", "cmgems.data.label_files", *TEXT)),
    Reader("sequences CSV", ".csv", made.sequences_csv, _read_sequences, _count_sequences, WORDS["CSV"], 0.12,
           ("cmgems.inference.sequences", *TEXT)),
    Reader("VCF", ".vcf", made.vcf, _read_vcf, _count_vcf, WORDS["VCF"], 0.03,
           ("cmgems.inference.vcf", "vcfpy", *TEXT)),
    Reader("variants CSV", ".csv", made.variants_csv, _read_variants, _count_rows, WORDS["variants"],
           code=("cmgems.inference.variant_table", *TEXT)),
    Reader("BED", ".bed", made.bed, _read_bed, _count_bed, WORDS["BED"], 0.1,
           ("cmgems.inference.bed", "bx.intervals.io", *TEXT)),
    Reader("PMI CSV", ".csv", made.pmi_csv, _read_pmi, _count_rows, WORDS["PMI"], 0.03, (*TABLE, *TEXT)),
    Reader("YAML config", ".yaml", made.yaml, _read_yaml, _count_yaml, WORDS["YAML"], code=("cmgems.config",)),
    Reader("store index", ".json", made.store_index, _read_store, _count_names, WORDS["JSON"],
           code=("cmgems.genome.layout", "cmgems.genome.store")),
    Reader("model folder", ".bin", made.model_folder, _read_model, _count_tensors, WORDS["JSON"],
           code=("cmgems.config", "cmgems.models.saved")),
    Reader("safetensors", ".safetensors", made.safetensors, _read_pmi, _count_kmers, WORDS["JSON"], code=TABLE),
    Reader("tokenizer.json", ".json", made.tokenizer_json, _read_tokenizer, _count_tokens, WORDS["JSON"],
           code=("cmgems.tokenization.bpe",)),
]  # fmt: skip
READERS = {reader.name: reader for reader in _ALL}
