"""Fixtures shared by all tests."""

from __future__ import annotations

import itertools
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

# Each pytest process has a core of its own: more threads would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Behind `nohup` and `&` these come ignored, and a run leaves ignored ones ignored.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real genomes and benchmark sets beside the checkout; tests that need them skip without."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    return folder


@dataclass(frozen=True)
class SmallGenome:
    """A 40 kbp random genome, ready to train on."""

    fasta: Path
    store: Path
    table: Path

    def overrides(self) -> list[str]:
        """What points a pretraining config at it."""
        return [f"data.store={self.store}", f"masking.table={self.table}"]


@pytest.fixture(scope="session")
def small_genome(tmp_path_factory: pytest.TempPathFactory) -> SmallGenome:
    """Two contigs with an N run, their store and their PMI table."""
    from cmgems.genome import GenomeStore
    from cmgems.pmi import PMITable

    folder = tmp_path_factory.mktemp("small_genome")
    rng = np.random.default_rng(0)
    contigs = ["".join(rng.choice(list("ACGT"), 20_000)) for _ in range(2)]
    contigs[0] = contigs[0][:9_000] + "N" * 50 + contigs[0][9_050:]
    fasta = folder / "genome.fa"
    fasta.write_text("".join(f">contig{i}\n{sequence}\n" for i, sequence in enumerate(contigs)))
    store = GenomeStore.build([fasta], folder / "store")
    table = folder / "pmi.safetensors"
    PMITable.build(store).save(table)
    return SmallGenome(fasta, folder / "store", table)


@pytest.fixture(scope="session")
def small_bpe(small_genome: SmallGenome) -> Path:
    """A tokenizer.json of 200 tokens learnt from it."""
    from cmgems.genome import GenomeStore
    from cmgems.tokenization import train_bpe

    path = small_genome.store.parent / "tokenizer.json"
    path.write_text(train_bpe(GenomeStore.open(small_genome.store), 200))
    return path


@pytest.fixture(scope="session")
def small_labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GUE-layout set that a tiny model can learn: class 1 is rich in G and C."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(1)
    for split, rows in (("train", 120), ("dev", 40), ("test", 40)):
        lines = ["sequence,label"]
        for _ in range(rows):
            label = int(rng.integers(2))
            gc = 0.65 if label else 0.35
            bases = rng.choice(list("ACGT"), 60, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])
            lines.append(f"{''.join(bases)},{label}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


@dataclass(frozen=True)
class SideBySide:
    """Tokens of three bases side by side, a remainder as single bases, [CLS] in front and nothing behind."""

    k: ClassVar[int] = 3
    stride: ClassVar[int] = 3
    special_count: ClassVar[int] = 5
    pad_id: ClassVar[int] = 0
    unk_id: ClassVar[int] = 1
    cls_id: ClassVar[int] = 2
    sep_id: ClassVar[int] = 3
    mask_id: ClassVar[int] = 4

    def vocabulary(self):
        tokens = ["".join(kmer) for kmer in itertools.product("ATCG", repeat=3)]
        return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens, *"ATCG", "N"]

    @property
    def vocab_size(self):
        return len(self.vocabulary())

    @property
    def known_ids(self):
        return range(5, self.vocab_size - 1)

    def token_count(self, bases):
        return 1 + bases // 3 + bases % 3

    def bases_for(self, tokens):
        return 3 * (tokens - 1)

    def encode_batch(self, codes_BL, lengths_B, tokens):
        ids = {token: i for i, token in enumerate(self.vocabulary())}
        rows = np.zeros((len(codes_BL), tokens), np.int32)
        for row, codes, length in zip(rows, codes_BL, lengths_B, strict=True):
            text, found = "".join("ATCGN"[min(c, 4)] for c in codes[:length]), [self.cls_id]
            while text:
                width = 3 if text[:3] in ids and len(text) >= 3 else 1
                found.append(ids[text[:width]])
                text = text[width:]
            row[: len(found)] = found
        return rows


@pytest.fixture(scope="session")
def pieces():
    """A byte-pair tokenizer with pieces of 1, 2 and 4 bp."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    from cmgems.tokenization import BpeTokenizer

    tokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "A", "C", "G", "T", "AC", "GT", "TT", "ACGT"]
    merges = [("A", "C"), ("G", "T"), ("T", "T"), ("AC", "GT")]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return BpeTokenizer(content=Tokenizer(BPE(vocabulary, merges, unk_token="[UNK]")).to_str())


@pytest.fixture
def side_by_side():
    return SideBySide()


@pytest.fixture(params=["overlapping", "side by side"])
def tokens(request, side_by_side):
    """Either kind of tokens, three bases long."""
    from cmgems.tokenization import KmerTokenizer, TokenMap

    return TokenMap(KmerTokenizer(3) if request.param == "overlapping" else side_by_side)
