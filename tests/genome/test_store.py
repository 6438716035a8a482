from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cmgems.genome.store as store_module
from cmgems.errors import CmgemsError, DataError
from cmgems.genome import GenomeStore, decode

MakeStore = Callable[[dict[str, str]], GenomeStore]

sequences = st.lists(
    st.lists(st.sampled_from(["ACGT", "gattaca", "N", "NNN", "r", "Y", "C"]), min_size=1, max_size=12).map(
        "".join
    ),
    min_size=1,
    max_size=8,
)


def reference_runs(contigs: list[str], pattern: str) -> list[list[int]]:
    runs, offset = [], 0
    for contig in contigs:
        runs += [[offset + m.start(), offset + m.end()] for m in re.finditer(pattern, contig)]
        offset += len(contig)
    return runs


@settings(max_examples=60, deadline=None)
@given(contigs=sequences, slice_bases=st.integers(1, 40))
def test_round_trip(contigs: list[str], slice_bases: int, make_store: MakeStore) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "SLICE_BASES", slice_bases)
        store = make_store({f"c{i}": contig for i, contig in enumerate(contigs)})
        store.verify()
    text = "".join(contigs)
    assert store.names == [f"c{i}" for i in range(len(contigs))]
    assert np.diff(store.offsets).tolist() == [len(contig) for contig in contigs]
    assert decode(store.codes) == re.sub("[^ACGT]", "N", text.upper())
    assert store.runs.tolist() == reference_runs(contigs, "[ACGTacgt]+")
    assert store.soft_masked_runs is not None
    assert store.soft_masked_runs.tolist() == reference_runs(contigs, "[a-z]+")
    assert store.ambiguous == Counter(re.sub("[ACGT]", "", text.upper()))
    assert store.gc == sum(map(text.upper().count, "GC"))
    assert store.bases == len(text)
    assert store.valid_bases == len(re.sub("[^ACGT]", "", text.upper()))
    assert store.sha256 == hashlib.sha256(store.codes.tobytes()).hexdigest()


@settings(max_examples=30, deadline=None)
@given(contigs=sequences)
def test_valid_before(contigs: list[str], make_store: MakeStore) -> None:
    store = make_store({f"c{i}": contig for i, contig in enumerate(contigs)})
    valid = np.asarray(store.codes) < 4
    expected = np.concatenate([[0], np.cumsum(valid)])
    assert store.valid_before(np.arange(store.bases + 1)).tolist() == expected.tolist()


def test_arrays(make_store: MakeStore) -> None:
    store = make_store({"a": "ACGTN", "b": "NNN"})
    assert (store.codes.dtype, store.offsets.dtype, store.runs.dtype) == (np.uint8, np.int64, np.int64)
    assert isinstance(store.codes, np.memmap)
    assert not store.codes.flags.writeable


def test_only_ambiguous_bases(make_store: MakeStore) -> None:
    store = make_store({"a": "NNNN"})
    assert store.runs.shape == (0, 2)
    assert store.valid_bases == 0


def test_several_files_one_store(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "b.fa.gz").write_bytes(gzip.compress(b">b\nGT\n"))
    store = GenomeStore.build([tmp_path / "a.fa", tmp_path / "b.fa.gz"], tmp_path / "new" / "store")
    assert (store.names, decode(store.codes)) == (["a", "b"], "ACGT")
    assert [source["name"] for source in store.sources] == ["a.fa", "b.fa.gz"]
    assert store.runs.tolist() == [[0, 2], [2, 4]]
    assert store.soft_masked_runs is None


def test_same_name_twice_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "b.fa").write_text(">b\nAC\n>a\nAC\n")
    with pytest.raises(DataError, match=r"contig name used twice in .*b.fa: 'a'"):
        GenomeStore.build([tmp_path / "a.fa", tmp_path / "b.fa"], tmp_path / "store")
    assert {path.name for path in tmp_path.iterdir()} == {"a.fa", "b.fa"}


def test_existing_folder(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "b.fa").write_text(">b\nGGG\n")
    (tmp_path / "bad.fa").write_text(">b\nprotein\n")
    folder = tmp_path / "store"
    GenomeStore.build([tmp_path / "a.fa"], folder)
    with pytest.raises(CmgemsError, match="output exists"):
        GenomeStore.build([tmp_path / "b.fa"], folder)
    with pytest.raises(DataError, match="contig b, position"):
        GenomeStore.build([tmp_path / "bad.fa"], folder, force=True)
    assert GenomeStore.open(folder).names == ["a"]
    assert GenomeStore.build([tmp_path / "b.fa"], folder, force=True).names == ["b"]
    assert {path.name for path in tmp_path.iterdir()} == {"a.fa", "b.fa", "bad.fa", "store"}


def test_force_replaces_nothing_but_stores(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1").write_text("precious")
    with pytest.raises(DataError, match="not a genome store"):
        GenomeStore.build([tmp_path / "a.fa"], tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis" / "chapter1").read_text() == "precious"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_force_keeps_the_old_store_until_the_new_one_is_on_the_disk(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise error

    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "b.fa").write_text(">b\nGGG\n")
    GenomeStore.build([tmp_path / "a.fa"], tmp_path / "store")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((CmgemsError, KeyboardInterrupt)):
        GenomeStore.build([tmp_path / "b.fa"], tmp_path / "store", force=True)
    assert GenomeStore.open(tmp_path / "store").names == ["a"]
    assert {path.name for path in tmp_path.iterdir()} == {"a.fa", "b.fa", "store"}


def edit_index(folder: Path, **changes: object) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | changes))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no index": (lambda f: (f / "index.json").unlink(), "not a genome store"),
    "no JSON": (lambda f: (f / "index.json").write_text("{"), "index.json is not JSON"),
    "foreign JSON": (lambda f: (f / "index.json").write_text("[]"), "not a genome store"),
    "other version": (lambda f: edit_index(f, version=99), "another version"),
    "key of wrong type": (lambda f: edit_index(f, lengths=["x"]), "damaged genome store"),
    "names missing": (lambda f: edit_index(f, names=[]), "damaged genome store"),
    "a name that is no text": (lambda f: edit_index(f, names=[1]), "names are not"),
    "a name twice": (lambda f: edit_index(f, names=["a", "a"], lengths=[2, 3]), "names are not"),
    "a fraction of a base": (lambda f: edit_index(f, lengths=[5.5]), "lengths are not whole numbers"),
    "a length beyond 64 bits": (lambda f: edit_index(f, lengths=[2**70]), "lengths are not whole numbers"),
    "a contig of no bases": (lambda f: edit_index(f, names=["a", "b"], lengths=[5, 0]), "not those of the same"),
    "lengths that do not add up": (lambda f: edit_index(f, lengths=[6]), "codes.bin has 5 bytes .* says 6"),
    "a run beyond the end": (lambda f: edit_index(f, run_ends=[9]), "stretches one after another"),
    "a run that ends before it starts": (lambda f: edit_index(f, run_starts=[4], run_ends=[0]), "stretches"),
    "a run across two contigs": (
        lambda f: edit_index(f, names=["a", "b"], lengths=[2, 3]), "into the next contig"
    ),
    "a run left out": (lambda f: edit_index(f, run_starts=[], run_ends=[]), "are not all bases"),
    "a key left out": (lambda f: edit_index(f, gc=None), "gc is not of type int"),
    "soft mask empty": (lambda f: (f / "soft_masked.npy").write_bytes(b""), "soft_masked.npy"),
    "soft mask of another kind": (lambda f: np.save(f / "soft_masked.npy", np.zeros(3)), "soft_masked.npy"),
    "codes cut": (lambda f: (f / "codes.bin").write_bytes(b"\0"), "codes.bin has 1 bytes"),
    "no codes": (lambda f: (f / "codes.bin").unlink(), "damaged genome store"),
    "no soft mask": (lambda f: (f / "soft_masked.npy").unlink(), "damaged genome store"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_stores(case: str, make_store: MakeStore) -> None:
    damage, message = DAMAGE[case]
    folder = make_store({"a": "ACGTN"}).folder
    damage(folder)
    with pytest.raises(DataError, match=message):
        GenomeStore.open(folder)


@pytest.mark.parametrize("case", ["no JSON", "other version", "names missing", "codes cut", "no codes"])
def test_force_cures_damaged_stores(case: str, make_store: MakeStore, tmp_path: Path) -> None:
    folder = make_store({"a": "ACGTN"}).folder
    DAMAGE[case][0](folder)
    (tmp_path / "b.fa").write_text(">b\nGGG\n")
    assert GenomeStore.build([tmp_path / "b.fa"], folder, force=True).names == ["b"]


def test_force_replaces_no_folder_with_other_json(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    for number, text in enumerate(["{", "[]", '{"format": "another"}']):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "index.json").write_text(text)
        with pytest.raises(DataError, match="not a genome store"):
            GenomeStore.build([tmp_path / "a.fa"], folder, force=True)
        assert (folder / "index.json").read_text() == text


def test_an_index_that_may_not_be_read(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    folder = make_store({"a": "ACGT"}).folder
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        DataError, match=r"cannot read the genome store in .*: index\.json: Permission denied"
    ):
        GenomeStore.open(folder)


def test_verify_finds_a_changed_byte(make_store: MakeStore) -> None:
    store = make_store({"a": "ACGTN"})
    (store.folder / "codes.bin").write_bytes(b"\0\0\0\0\0")
    with pytest.raises(DataError, match="checksum"):
        GenomeStore.open(store.folder).verify()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"run_starts": [1, 6], "ambiguous": {"N": 3}}, "runs"),  # a base fewer in a run, a letter N more
        ({"run_starts": [0, 5], "run_ends": [4, 8]}, "runs"),  # as many bases, one of them N
        ({"gc": 3}, "4 bases G and C, index.json says 3"),
    ],
)
def test_verify_finds_an_index_of_other_bases(make_store: MakeStore, changed, why) -> None:
    store = make_store({"a": "ACGTN", "b": "NACG"})
    assert (store.runs.tolist(), store.gc) == ([[0, 4], [6, 9]], 4)
    edit_index(store.folder, **changed)
    with pytest.raises(DataError, match=why):
        GenomeStore.open(store.folder).verify()


def test_verify_finds_other_soft_masked_stretches(make_store: MakeStore) -> None:
    store = make_store({"a": "ACgtN"})
    np.save(store.folder / "soft_masked.npy", np.array([[1, 4]]))
    with pytest.raises(DataError, match=r"checksum of soft_masked\.npy"):
        GenomeStore.open(store.folder).verify()


def test_lambda(shared_data: Path, tmp_path: Path) -> None:
    store = GenomeStore.build([shared_data / "genomes" / "lambda.fa"], tmp_path / "store")
    assert store.bases == store.valid_bases == 48_502
    assert store.runs.tolist() == [[0, 48_502]]
    assert decode(store.codes[:12]) == "GGGCGGCGACCT"
    assert round(store.gc / store.bases, 4) == 0.4986


def test_chromosome_with_gaps(shared_data: Path, tmp_path: Path) -> None:
    store = GenomeStore.build([shared_data / "genomes" / "human_chr17_1mb.fa.gz"], tmp_path / "store")
    assert set(store.ambiguous) == {"N"}
    assert store.valid_bases + store.ambiguous["N"] == store.bases
    codes = np.asarray(store.codes)
    assert all((codes[start:end] < 4).all() for start, end in store.runs)


def test_many_small_contigs(shared_data: Path, tmp_path: Path) -> None:
    store = GenomeStore.build([shared_data / "genomes" / "human_fragments.fa.gz"], tmp_path / "store")
    assert len(store.names) == 169_153
    assert np.array_equal(store.runs, np.stack([store.offsets[:-1], store.offsets[1:]], axis=1))
