"""Labelled intervals of a genome: every layout gives the rows of the table with their sequences."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.data import LabelledConfig, read_splits
from cmgems.data.intervals import Intervals, open_rows
from cmgems.data.label_files import labels_content
from cmgems.errors import CmgemsError, DataError, RecordError
from cmgems.genome import Contigs, alphabet, reverse_complement
from cmgems.reading import Invalid
from cmgems.tokenization import TOKENIZERS

KMER6 = TOKENIZERS.get("kmer6")
SIZES = {"train": 12, "dev": 6, "test": 6}
SPLITS = tuple(SIZES)


@pytest.fixture(scope="module")
def rows(small_genome):
    """Contig, start, end, strand, class and sequence of the intervals of each split."""
    contigs, rng, found = Contigs.of(small_genome.store), np.random.default_rng(3), {}
    for split, size in SIZES.items():
        found[split] = []
        for number in range(size):
            contig, strand = f"contig{number % 2}", "+-"[number % 3 == 0]
            start = int(rng.integers(10_000, 19_000))
            codes_L = contigs.find(contig, "")[start : start + 60]
            codes_L = reverse_complement(codes_L) if strand == "-" else codes_L
            label = ("enhancer", "other")[number // 3 % 2]
            found[split].append((contig, start, start + 60, strand, label, alphabet.decode(codes_L)))
    return found


def of_class(rows, label):
    return [row for row in rows if row[4] == label]


def table(path, header, lines, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows(([header] if header else []) + lines)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def as_bed(folder, rows):
    for split in SPLITS:
        lines = [[c, a, b, label, 0, strand] for c, a, b, strand, label, _ in rows[split]]
        table(folder / f"{split}.bed", None, lines, "\t")
    (folder / "dev.bed").write_text("# made by hand\ntrack name=x\n" + (folder / "dev.bed").read_text())


def as_columns(folder, rows):
    for split in SPLITS:
        lines = [[label, strand, b, a, c] for c, a, b, strand, label, _ in rows[split]]
        table(folder / f"{split}.csv.gz", ["label", "strand", "end", "start", "Chrom"], lines)


def as_genomic_benchmarks(folder, rows):
    for split in SPLITS:
        for label in ("enhancer", "other"):
            chosen = enumerate(of_class(rows[split], label))
            lines = [[n, c, a, b, strand] for n, (c, a, b, strand, *_) in chosen]
            table(folder / split / f"{label}.csv.gz", ["id", "region", "start", "end", "strand"], lines)


def as_bend(folder, rows):
    lines = [[c, a, b, split, strand, label] for split in SPLITS for c, a, b, strand, label, _ in rows[split]]
    table(folder / "all.bed", ["chromosome", "start", "end", "split", "strand", "label"], lines, "\t")


def as_json_lines(folder, rows):
    for split in SPLITS:
        lines = [
            json.dumps({"chr": c, "start": a, "end": b, "strand": strand, "label": label})
            for c, a, b, strand, label, _ in rows[split]
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


def same(found, expected):
    assert found.keys() == expected.keys()
    for split, one in found.items():
        other = expected[split]
        assert one.names == other.names
        assert one.bases == other.bases
        assert [ids.tolist() for ids in one.ids] == [ids.tolist() for ids in other.ids]
        assert one.labels.tolist() == other.labels.tolist()


@pytest.mark.parametrize("layout", [as_bed, as_columns, as_genomic_benchmarks, as_bend, as_json_lines])
def test_the_rows_are_those_of_the_sequences(layout, rows, small_genome, tmp_path):
    if layout is as_genomic_benchmarks:  # which are in the order of their classes
        rows = {split: sorted(of_split, key=lambda row: row[4]) for split, of_split in rows.items()}
    layout(tmp_path, rows)
    plain = tmp_path / "plain"
    for split in SPLITS:
        table(plain / f"{split}.csv", ["sequence", "label"], [[row[5], row[4]] for row in rows[split]])
    config = LabelledConfig(plain)
    expected = read_splits(config, KMER6, 512)
    same(read_splits(replace(config, dir=tmp_path, store=small_genome.store), KMER6, 512), expected)


def test_one_sequence_table_for_each_class(rows, tmp_path):
    for split in SPLITS:
        for label in ("enhancer", "other"):
            lines = [[row[5]] for row in of_class(rows[split], label)]
            table(tmp_path / split / f"{label}.csv", ["sequence"], lines)
    train = read_splits(LabelledConfig(tmp_path), KMER6, 512)["train"]
    assert train.names == ("enhancer", "other")
    assert len(train) == SIZES["train"]
    before = labels_content(tmp_path)
    table(tmp_path / "train" / "other.csv", ["sequence"], [["ACGTACGTAC"]])
    assert labels_content(tmp_path)["train"] != before["train"]


@pytest.fixture(scope="module")
def contigs(small_genome):
    return Contigs.of(small_genome.store)


@given(st.integers(0, 19_900), st.integers(1, 100), st.sampled_from("+-."))
def test_bases_of_an_interval(contigs, start, length, strand):
    bases = Intervals(contigs).bases(["contig1", str(start), str(start + length), strand], "here")
    own = alphabet.decode(contigs.find("contig1", "")[start : start + length])
    other = alphabet.decode(reverse_complement(alphabet.encode(own.encode())))
    assert bases == (other if strand == "-" else own)


@given(st.integers(200, 19_000), st.integers(1, 300), st.integers(1, 300))
def test_a_window_lies_around_the_middle(contigs, start, length, window):
    cells = ["contig1", str(start), str(start + length)]
    bases = Intervals(contigs, window).bases(cells, "here")
    first = start + length // 2 - window // 2
    assert bases == Intervals(contigs).bases(["contig1", str(first), str(first + window)], "here")


@pytest.mark.parametrize(
    ("cells", "window", "message"),
    [
        (["chr1", "1", "9"], None, r"contig 'chr1' is not in the store"),
        (["contig1", "1e3", "9"], None, "not an interval in here: '1e3' is no position"),
        (["contig1", "-1", "9"], None, "not an interval in here: '-1' is no position"),
        (["contig1", "9", "9"], None, "empty interval in here: 9-9: the first base is 0"),
        (["contig1", "9", "8"], None, "empty interval"),
        (["contig1", "19990", "20001"], None, "interval beyond the contig in here: contig1:19990-20001, .* 20,000 bp"),
        (["contig1", "10", "20"], 100, "beyond the contig .* 100 bp around the middle .* smaller data.window"),
        (["contig1", "1", "9", "plus"], None, r"not a strand in here: 'plus'; write \+, - or \."),
    ],
)  # fmt: skip
def test_what_is_no_interval_of_the_genome(contigs, cells, window, message):
    with pytest.raises(RecordError, match=message):
        Intervals(contigs, window).bases(cells, "here")


def test_rows_that_cannot_be_used_are_left_out_by_name(rows, small_genome, tmp_path):
    as_bed(tmp_path, rows)
    with open(tmp_path / "train.bed", "a") as out:
        out.write("contig1\t19990\t20050\tother\t0\t+\ncontig1\t5\n")
    config = LabelledConfig(tmp_path, small_genome.store, invalid="skip")
    invalid = config.unusable_rows()
    assert len(read_splits(config, KMER6, 512, invalid=invalid)["train"]) == SIZES["train"]
    assert [where.rpartition(":")[2] for where, _ in invalid.skipped] == ["13", "14"]


@pytest.mark.parametrize(
    ("header", "store", "message"),
    [
        (["chrom", "start", "end", "label"], False, r"intervals, and no genome .* data.store=STORE"),
        (["sequence", "label"], True, r"no intervals in .*train.csv:1: no column for contig, start, end"),
        (["chrom", "start", "stop_", "label"], True, r"no intervals in .*: no column for end"),
        (["chrom", "start", "end", "y"], True, r"columns missing .* data.labels=y"),
    ],
)
def test_columns_that_do_not_fit(header, store, message, small_genome, tmp_path):
    for split in SPLITS:
        table(tmp_path / f"{split}.csv", header, [["contig1", "1", "60", "a"][: len(header)]])
    config = LabelledConfig(tmp_path, small_genome.store if store else None)
    with pytest.raises(DataError, match=message):
        read_splits(config, KMER6, 512)


def test_a_folder_of_parts_is_not_taken_for_classes(tmp_path):
    for split in SPLITS:
        for part in ("part-0", "part-1"):
            table(tmp_path / split / f"{part}.csv", ["sequence", "label"], [["ACGTACGTAC", "a"]])
    with pytest.raises(
        DataError, match=r"a folder of tables with labels .* join them to one table train.csv"
    ):
        read_splits(LabelledConfig(tmp_path), KMER6, 512)


def test_every_line_of_a_bed_file_has_a_strand_or_none(tmp_path):
    (tmp_path / "t.bed").write_text("chr0\t10\t60\tpos\nchr1\t20\t70\tneg\t0\t-\n")
    with pytest.raises(RecordError, match=r"a strand from here on in .*t.bed:2: 6 columns, .* has 4"):
        list(open_rows(tmp_path / "t.bed").records([0], Invalid()))


@pytest.mark.parametrize("options", [{"window": 100}, {"window": 0, "store": "store"}, {"aliases": "a.txt"}])
def test_settings_that_need_one_another(options, tmp_path):
    with pytest.raises(CmgemsError, match=r"need a store|must be 1 or more"):
        LabelledConfig(tmp_path, **options)
