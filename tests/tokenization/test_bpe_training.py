"""BPE vocabularies learnt from a genome store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import GenomeStore
from cmgems.tokenization import BpeTokenizer, train_bpe

UNIT = "ACGTTGCA"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> GenomeStore:
    """One pattern, over and over, and N."""
    folder = tmp_path_factory.mktemp("repeats")
    (folder / "genome.fa").write_text(f">a\n{UNIT * 500}NNNN{UNIT * 500}\n>b\n{'N' * 50}\n")
    return GenomeStore.build([folder / "genome.fa"], folder / "store")


def test_merges_are_the_patterns_of_the_genome(store: GenomeStore) -> None:
    tokenizer = BpeTokenizer(content=train_bpe(store, 16))
    vocabulary = tokenizer.vocabulary()
    assert vocabulary[:9] == ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "A", "C", "G", "T"]
    assert all(piece in UNIT * 3 for piece in vocabulary[9:])
    assert tokenizer.decode(tokenizer.encode(UNIT * 4)) == UNIT * 4
    assert len(tokenizer.encode(UNIT * 4)) < 20


def test_no_merges_at_all(store: GenomeStore) -> None:
    tokenizer = BpeTokenizer(content=train_bpe(store, 9))
    assert tokenizer.encode("ACGTN").tolist() == [1, 5, 6, 7, 8, 0, 2]


def test_the_same_store_gives_the_same_vocabulary(small_genome, small_bpe: Path) -> None:
    script = (
        "from pathlib import Path; from cmgems.genome import GenomeStore; from cmgems.tokenization import train_bpe;"
        f"print(train_bpe(GenomeStore.open(Path({str(small_genome.store)!r})), 200), end='')"
    )
    environment = os.environ | {"RAYON_NUM_THREADS": "3", "PYTHONHASHSEED": "7"}
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert result.stdout.decode() == small_bpe.read_text()


def test_the_sample_is_bounded(small_genome) -> None:
    store = GenomeStore.open(small_genome.store)
    with pytest.raises(
        DataError, match=r"too little sequence in .*: 3,000 bp give .* not 5000; .*--sample-mbp"
    ):
        train_bpe(store, 5000, sample_mbp=0.003)
    assert train_bpe(store, 100, sample_mbp=0.01) != train_bpe(store, 100)


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "n.fa").write_text(">n\nNNNNNNNN\n")
    empty = GenomeStore.build([tmp_path / "n.fa"], tmp_path / "store")
    with pytest.raises(DataError, match="0 bp give at most 9 tokens, not 10"):
        train_bpe(empty, 10)


@pytest.mark.parametrize(
    ("vocab_size", "sample_mbp", "message"),
    [(8, 1.0, "bases alone are 9"), (20, 0.0, "give more than 0"), (20, float("nan"), "it is nan")],
)
def test_arguments_out_of_range(store: GenomeStore, vocab_size: int, sample_mbp: float, message: str) -> None:
    with pytest.raises(CmgemsError, match=message):
        train_bpe(store, vocab_size, sample_mbp)
