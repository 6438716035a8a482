"""Files as users have them, each with the number of its records: what a reader must take."""

from __future__ import annotations

import csv
import io
import json
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from damage import COMPRESSORS, damaged_json

Made = tuple[bytes, int | None]  # a file, and how many records it has; None if it may be refused
NAMES = ("chr1", "1", "X", "track1", "browser", "scaffold_12", "contig.3", "é", "nan", "a,b", "gi|5|ref")
UTF8_MARK = b"\xef\xbb\xbf"


def file_of(lines: list[str], random: Random) -> bytes:
    """A text file: with Unix or Windows line ends, with or without its last one, a byte-order mark, compression."""
    end = random.choice(("\n", "\n", "\n", "\r\n"))
    data = (end.join(lines) + random.choice((end, end, "", end * 2))).encode()
    if random.random() < 0.1:
        data = UTF8_MARK + data
    return random.choice(COMPRESSORS)(data) if random.random() < 0.03 else data


def bases(random: Random, low: int, high: int, letters: str = "ACGT") -> str:
    return "".join(random.choices(letters, k=random.randint(low, high)))


def with_blanks(lines: list[str], random: Random, first: int = 0) -> list[str]:
    """Some blank lines among those from ``first`` on."""
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        lines.insert(random.randint(first, len(lines)), "")
    return lines


def fasta(random: Random) -> Made:
    lines: list[str] = []
    count = random.randint(1, 5)
    for number in range(count):
        lines.append(f">{random.choice(NAMES)}_{number}" + random.choice(("", " a contig", "\tx > y", " ")))
        lines += [
            bases(random, 1, 60, random.choice(("ACGT", "acgt", "ACGTN", "ACGTRYSWKMBDHVN")))
            for _ in range(random.randint(1, 4))
        ]
    return file_of(with_blanks(lines, random), random), count


def _table(header: list[str], rows: list[list[str]], delimiter: str, random: Random) -> bytes:
    """Delimited text: columns in any order, some cells quoted, blank lines."""
    order = random.sample(range(len(header)), len(header))
    quoting = random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    lines = []
    for row in [header, *rows]:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="", quoting=quoting).writerow(
            [row[i] for i in order]
        )
        lines.append(text.getvalue())
    return file_of(with_blanks(lines, random, first=1), random)


def labels_csv(random: Random) -> Made:
    rows = [
        [bases(random, 1, 40), random.choice("01"), random.choice(("a note", 'so "called"', "x, y", "5'"))]
        for _ in range(random.randint(1, 8))
    ]
    return _table([random.choice(("sequence", "Sequence")), "label", "note"], rows, ",", random), len(rows)


def labels_tsv(random: Random) -> Made:
    k, rows = random.randint(3, 6), []
    for _ in range(random.randint(1, 6)):
        sequence = bases(random, k + 1, 25)
        rows.append(
            [" ".join(sequence[i : i + k] for i in range(len(sequence) - k + 1)), random.choice("01")]
        )
    return _table(["sequence", "label"], rows, "\t", random), len(rows)


def labels_jsonl(random: Random) -> Made:
    lines = []
    for _ in range(random.randint(1, 6)):
        label = random.choice((0, 1, "a", 1.0))
        row: dict[str, Any] = {
            "sequence": bases(random, 1, 40),
            "label": label,
            "note": random.choice((None, "x", [1])),
        }
        if random.random() < 0.1:
            row = damaged_json(row, random)
            return json.dumps(row).encode(), None
        lines.append(json.dumps(row))
    count = len(lines)
    return file_of(with_blanks(lines, random), random), count


def sequences_csv(random: Random) -> Made:
    # From 4 on: NA and nan stand for a missing sequence.
    rows = [
        [f"{random.choice(NAMES)}{i}", bases(random, 4, 60, "ACGTNacgt")] for i in range(random.randint(1, 8))
    ]
    if random.random() < 0.2:
        return _table(["sequence"], [[row[1]] for row in rows], ",", random), len(rows)
    return _table(["name", "sequence"], rows, ",", random), len(rows)


def variants_csv(random: Random) -> Made:
    rows = [
        [
            random.choice(("1", "chr2", "X")),
            str(random.randint(1, 10**6)),
            bases(random, 1, 4),
            ",".join(bases(random, 1, 3) for _ in range(random.randint(1, 2))),
            random.choice(("1", "0", "", "a note, and more")),
        ]
        for _ in range(random.randint(1, 8))
    ]
    header = random.choice((["chrom", "pos", "ref", "alt"], ["Chr", "Position", "Reference", "Alternate"]))
    return _table([*header, "label"], rows, random.choice(",\t"), random), len(rows)


def vcf(random: Random) -> Made:
    lines = ["##fileformat=VCFv4.2"]
    lines += random.sample(
        [
            '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth, of all">',
            "##contig=<ID=1,length=249250621>",
            "##contig=<ID=chr2>",
            '##FILTER=<ID=q10,Description="Quality below 10">',
            '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
            "##source=a caller",
            "##PEDIGREE=<Child=kid,Mother=mum>",
            "##LibraryStats of a caller",
        ],
        random.randint(0, 8),
    )
    samples = random.choice((0, 0, 1, 3))
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    lines.append("\t".join(columns + (["FORMAT", *(f"s{i}" for i in range(samples))] if samples else [])))
    count = random.randint(1, 8)
    for _ in range(count):
        ref, alt = bases(random, 1, 4), ",".join(bases(random, 1, 3) for _ in range(random.randint(1, 2)))
        record = [
            random.choice(("1", "chr2", "X")),
            str(random.randint(1, 10**6)),
            random.choice((".", "rs12", "a;b")),
        ]
        record += [
            ref,
            alt,
            random.choice((".", "50", "1e3")),
            random.choice((".", "PASS", "q10")),
            random.choice((".", "DP=14", "DP=3;H2")),
        ]
        lines.append("\t".join(record + ["GT"] * bool(samples) + ["0/1"] * samples))
    return file_of(with_blanks(lines, random, first=1), random), count


def bed(random: Random) -> Made:
    count, columns = random.randint(1, 8), random.choice((3, 3, 4, 6, 9, 12))
    lines = []
    for number in range(count):
        start = random.randint(0, 900)
        end = start + random.randint(1, 100)
        row = [
            random.choice(("chr1", "1", "track1")),
            str(start),
            str(end),
            f"name {number}",
            random.choice(("0", "13.5", "1000")),
        ]
        row += [random.choice("+-"), str(start), str(end), "255,0,0", "1", str(end - start), "0"]
        lines.append("\t".join(row[:columns]))
    for extra in (
        'track name="a b" visibility=2',
        "browser position chr1:1-500",
        "# a comment",
        "#chrom\tstart\tend",
    ):
        if random.random() < 0.2:
            lines.insert(0, extra)
    return file_of(with_blanks(lines, random), random), count


@cache
def _pmi_lines() -> list[str]:
    from cmgems.pmi import PMITable

    with TemporaryDirectory() as folder:
        table = Path(folder) / "pmi.csv"
        PMITable.load(_written(folder, pmi_safetensors_bytes())).to_csv(table)
        return table.read_text().splitlines()


def _written(folder: str, data: bytes) -> Path:
    path = Path(folder) / "file"
    path.write_bytes(data)
    return path


def pmi_csv(random: Random) -> Made:
    header, *rows = _pmi_lines()
    if random.random() < 0.3:
        random.shuffle(rows)
    return file_of([header, *with_blanks(rows, random)], random), len(_pmi_lines()) - 1


SETTINGS: dict[str, tuple[str, ...]] = {
    "": (
        "steps: 20",
        "sequences: 8",
        "seed: 3",
        "model: logo_tiny",
        "tokenizer: kmer6",
        'recipe: "pretrain"',
    ),
    "data": ("store: a/folder", "pad_multiple: 8", "split: {by: block, block_bp: 1000}"),
    "masking": ("rate: .15", "curriculum: cm_gems", "table: pmi.safetensors"),
    "validation": ("every: 5", "sequences: 1_000"),
    "optim": ("lr: 1e-3", "warmup: 5"),
    "checkpoint": ("every: 5", "keep: 2"),
    "log": ("every: 1",),
}


def yaml(random: Random) -> Made:
    """A pretraining config; its records are the keys and values in it."""
    lines, scalars = [], 0
    for section, known in SETTINGS.items():
        chosen = random.sample(known, random.randint(0, len(known)))
        if section == "data" and known[0] not in chosen:  # the only one without a default
            chosen.append(known[0])
        if not section:
            lines += chosen
        elif random.random() < 0.3:
            lines.append(f"{section}: {{{', '.join(chosen)}}}")
        elif chosen:
            lines += [f"{section}:  # a comment", *(f"  {line}" for line in chosen)]
        else:
            continue
        scalars += bool(section) + sum(2 + 3 * ("{" in line) for line in chosen)
    end = random.choice(("\n", "\n", "\r\n"))
    mark = UTF8_MARK if random.random() < 0.1 else b""
    return mark + (end.join(lines) + end).encode(), scalars


@cache
def store() -> tuple[bytes, bytes]:
    """``index.json`` and ``codes.bin`` of a small genome store."""
    from cmgems.genome import GenomeStore

    with TemporaryDirectory() as folder:
        path = Path(folder, "genome.fa")
        path.write_text(">one\nACGTNNACGGTRA\n>two words\nTTTT\n>three\nNNAC\n")
        GenomeStore.build(path, Path(folder, "store"))
        return Path(folder, "store", "index.json").read_bytes(), Path(
            folder, "store", "codes.bin"
        ).read_bytes()


def _json_file(base: bytes, records: int, random: Random) -> Made:
    """The JSON file itself, written in any order; or one with odd values in it."""
    value = json.loads(base)
    if random.random() < 0.8:
        return json.dumps(damaged_json(value, random)).encode(), None
    items = list(value.items())
    random.shuffle(items)
    return json.dumps(dict(items), indent=random.choice((None, 2))).encode(), records


def store_index(random: Random) -> Made:
    return _json_file(store()[0], 3, random)


@cache
def tokenizer() -> bytes:
    """A ``tokenizer.json`` of 20 tokens."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    tokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", *"ACGT", "AC", "GT", "TT", "ACGT"]
    merges = [("A", "C"), ("G", "T"), ("T", "T"), ("AC", "GT")]
    stock = Tokenizer(BPE({token: i for i, token in enumerate(tokens)}, merges, unk_token="[UNK]"))
    return stock.to_str().encode()


def tokenizer_json(random: Random) -> Made:
    return _json_file(tokenizer(), 13, random)


@cache
def pmi_safetensors_bytes() -> bytes:
    """A PMI table of 3-mers."""
    import numpy as np

    from cmgems.pmi import PMITable

    numbers = np.random.default_rng(0)
    counts = {n: numbers.integers(1, 99, 4**n) for n in (1, 2, 3)}
    with TemporaryDirectory() as folder:
        PMITable.from_counts(counts, 3).save(Path(folder, "pmi"))
        return Path(folder, "pmi").read_bytes()


def safetensors(random: Random) -> Made:
    """A PMI table of 3-mers; or one whose header has odd values in it."""
    data = pmi_safetensors_bytes()
    if random.random() < 0.3:
        return data, 64
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if random.random() < 0.5:
        about = damaged_json(json.loads(header["__metadata__"]["pmi_table"]), random)
        header["__metadata__"]["pmi_table"] = json.dumps(about)
    else:
        header = damaged_json(header, random)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :], None


@cache
def model() -> tuple[bytes, bytes]:
    """``model.json`` and the weights of a very small model."""
    from dataclasses import replace

    import torch

    from cmgems.models import MODELS, save_model
    from cmgems.tokenization import TOKENIZERS

    config: Any = replace(
        MODELS.get("logo_tiny"),
        vocab_size=69,
        layers=1,
        hidden=2,
        heads=1,
        ffn=2,
        max_positions=8,
        embedding=None,
    )
    with torch.random.fork_rng(devices=[]), TemporaryDirectory() as folder:
        torch.manual_seed(0)
        save_model(
            Path(folder),
            config.masked_lm(),
            model_name="logo_tiny",
            config=config,
            head="masked_lm",
            tokenizer_name="kmer3",
            tokenizer=TOKENIZERS.get("kmer3"),
        )
        return Path(folder, "model.json").read_bytes(), Path(folder, "model.safetensors").read_bytes()


def model_folder(random: Random) -> Made:
    """``model.json`` in one line, and the weights; its records are the tensors."""
    info, weights = model()
    data, count = _json_file(info, 22, random)
    return b" ".join(data.split()) + b"\n" + weights, count
