"""Learning a BPE vocabulary from a genome store, as DNABERT-2's was from genomes (arXiv 2306.15006)."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import BpeTrainer

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import BASES, GenomeStore, TiledSampler, decode
from cmgems.progress import can_redraw, progress
from cmgems.tokenization.bpe import SPECIAL_TOKENS
from cmgems.tokenization.stock import bert_template

# No piece reaches over a window's end, so a window must be many pieces long.
WINDOW_BP = 1000
SAMPLE_MBP = 20.0
# Pairs of pieces that occur once are not merged.
LEAST_COUNT = 2


def train_bpe(store: GenomeStore, vocab_size: int, sample_mbp: float = SAMPLE_MBP) -> str:
    """Learn the merges of a sample of windows without ambiguous bases; the same store gives the same vocabulary.

    Args:
        store: The genome.
        vocab_size: Special tokens, bases and merged pieces together.
        sample_mbp: Bases to learn from (Mbp), at most; memory grows by about 70 MB with each.

    Returns:
        The text of a ``tokenizer.json`` with DNABERT-2's special tokens.

    Raises:
        CmgemsError: if ``vocab_size`` or ``sample_mbp`` is too small.
        DataError: if there is too little sequence for this many pieces.
    """
    least = len(SPECIAL_TOKENS) + len(BASES)
    if vocab_size < least:
        raise CmgemsError(
            "vocabulary too small",
            where="--vocab-size",
            why=f"it is {vocab_size}, the special tokens and bases alone are {least}",
            fix="DNABERT-2's is 4096",
        )
    if not sample_mbp > 0:
        raise CmgemsError(
            "sample out of range", where="--sample-mbp", why=f"it is {sample_mbp}", fix="give more than 0"
        )
    sample_bp = round(min(sample_mbp * 1e6, store.valid_bases))
    # Each merge shortens the sample by a piece or more. The library sets aside memory for all tokens at once.
    if vocab_size > least + sample_bp:
        raise _too_little(store, sample_bp, f"at most {least + sample_bp}", vocab_size)
    tokenizer = Tokenizer(BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=LEAST_COUNT,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=list(BASES),
        show_progress=can_redraw(),  # the library's bars of what follows reading
    )
    tokenizer.train_from_iterator(_windows(store, sample_bp), trainer)
    if tokenizer.get_vocab_size() < vocab_size:
        raise _too_little(store, sample_bp, str(tokenizer.get_vocab_size()), vocab_size)
    tokenizer.post_processor = bert_template(*map(SPECIAL_TOKENS.index, ("[CLS]", "[SEP]")))
    return tokenizer.to_str(pretty=True) + "\n"


def _too_little(store: GenomeStore, sample_bp: int, tokens: str, vocab_size: int) -> DataError:
    return DataError(
        "too little sequence",
        where=store.folder,
        why=f"{sample_bp:,} bp give {tokens} tokens, not {vocab_size}",
        fix="give more, raise --sample-mbp or lower --vocab-size",
    )


def _windows(store: GenomeStore, sample_bp: int) -> Iterator[str]:
    """Bases of shuffled windows from the whole genome until ``sample_bp`` are reached."""
    starts_N, lengths_N = TiledSampler(max_bp=WINDOW_BP).windows(store, store.runs, seed=0, epoch=0)
    taken = 0
    with progress("reading windows", sample_bp, "bp") as advance:
        for start, length in zip(starts_N.tolist(), lengths_N.tolist(), strict=True):
            if taken >= sample_bp:
                return
            length = min(length, sample_bp - taken)
            yield decode(store.codes[start : start + length])
            taken += length
            advance(length)
