"""Bases to token ids: ours from a genome store, Hugging Face's WordLevel from k-mer text, and memcpy.

    python benchmarks/tokenizing.py

A random genome; windows of 515 bp, 256 at a time, become 6-mer ids: in random order, as training reads them, and in
the genome's order, as memcpy does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread on every side

import numpy as np
import tokenizers
import torch
from side_by_side import arguments, measure, milliseconds, ratio, report, table
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from cmgems.genome import GenomeStore, decode, gather
from cmgems.tokenization import KmerTokenizer

WINDOW_BP = 515
BATCH = 256
TOKENIZER = KmerTokenizer(6)
RANDOM, IN_ORDER, READY, MADE, COPY = "random", "in order", "ready", "made", "memcpy"
LABELS = {
    RANDOM: "cmgems, from the store (gather + ids), windows in random order",
    IN_ORDER: "the same, windows in the genome's order",
    READY: "Hugging Face WordLevel `encode_batch_fast`, k-mer text at hand",
    MADE: "the same, k-mer text made first",
    COPY: "memcpy of the bases",
}


def random_store(folder: Path, bases: int) -> GenomeStore:
    letters = np.frombuffer(b"ATCG", np.uint8)[np.random.default_rng(0).integers(0, 4, bases)]
    fasta = folder / "genome.fa"
    fasta.write_bytes(b">random\n" + letters.tobytes() + b"\n")
    return GenomeStore.build([fasta], folder / "store")


def kmer_text(sequence: str) -> str:
    return " ".join(sequence[i : i + TOKENIZER.k] for i in range(len(sequence) - TOKENIZER.k + 1))


def candidates(
    store: GenomeStore, text_windows: int
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """Each way, and the bases it works through in a call."""
    count = store.bases // WINDOW_BP
    in_order_N = np.arange(count, dtype=np.int64) * WINDOW_BP
    random_N = np.random.default_rng(1).permutation(in_order_N)
    lengths_B = np.full(BATCH, WINDOW_BP, np.int32)
    tokens = TOKENIZER.token_count(WINDOW_BP)
    codes_BL = np.empty((BATCH, WINDOW_BP), np.uint8)

    def ours(starts_N: np.ndarray) -> None:
        for first in range(0, count - BATCH + 1, BATCH):
            gather(store.codes, starts_N[first : first + BATCH], lengths_B, codes_BL)
            TOKENIZER.encode_batch(codes_BL, lengths_B, tokens)

    vocabulary = {token: i for i, token in enumerate(TOKENIZER.vocabulary())}
    word_level = tokenizers.Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    word_level.pre_tokenizer = WhitespaceSplit()
    sequences = [decode(store.codes[start : start + WINDOW_BP]) for start in random_N[:text_windows]]
    texts = [kmer_text(sequence) for sequence in sequences]
    first_ids = word_level.encode_batch_fast(texts[:1])[0].ids
    assert first_ids == TOKENIZER.encode(sequences[0])[1:-1].tolist()

    codes = np.array(store.codes)
    target = np.empty_like(codes)
    calls: dict[str, Callable[[], object]] = {
        RANDOM: lambda: ours(random_N),
        IN_ORDER: lambda: ours(in_order_N),
        READY: lambda: word_level.encode_batch_fast(texts),
        MADE: lambda: word_level.encode_batch_fast([kmer_text(sequence) for sequence in sequences]),
        COPY: lambda: np.copyto(target, codes),
    }
    bases = text_windows * WINDOW_BP
    ours_bases = count // BATCH * BATCH * WINDOW_BP
    return calls, {RANDOM: ours_bases, IN_ORDER: ours_bases, READY: bases, MADE: bases, COPY: store.bases}


def main() -> None:
    options = arguments(__doc__ or "", "tokenize.md").parse_args()
    torch.set_num_threads(1)
    rounds = 2 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as folder:
        store = random_store(Path(folder), 300_000 if options.quick else 64_000_000)
        calls, bases = candidates(store, 4 if options.quick else 256)
        found = measure(calls, rounds, seconds=0.01 if options.quick else 0.3)
    # Seconds a base, so that ways that work through more can be compared.
    found = {name: [seconds / bases[name] for seconds in found[name]] for name in found}
    rows = [
        [
            LABELS[name],
            f"{1e-3 / milliseconds(found, name):.4g}",
            *(f"{ratio(found, other, name):.3g}" for other in (READY, MADE, COPY)),
        ]
        for name in LABELS
    ]
    header = ["", "Mbp/s", "times WordLevel's speed", "times WordLevel's with its text", "times memcpy's"]
    packages = ["numpy", "numba", "tokenizers"]
    report(options, "Bases to ids", "tokenizing.py", rounds, packages, table(header, rows))


if __name__ == "__main__":
    main()
