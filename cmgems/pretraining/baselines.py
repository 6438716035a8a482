"""What masked validation tokens give away without a model: the same windows, the same fixed mask.

Every guess knows the rule of the masking (80 % [MASK], 10 % another token, 10 % as it was), as a model comes to know
it: where the input shows a token in a masked place, Bayes' rule says how far to believe it.

Shape suffixes: B rows, S token positions of a row, T its tokens of bases, M masked tokens, V token ids, K bases of the
longest token, L bases of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.genome import AMBIGUOUS, BASES, encode, gather
from cmgems.genome.alphabet import Codes
from cmgems.masking import MaskedBatch
from cmgems.masking.corruption import MASK_SHARE, RANDOM_SHARE
from cmgems.pmi.counts import default_workers
from cmgems.pretraining.chain_kernels import HIDDEN, guess_beside, guess_read_off
from cmgems.pretraining.chains import MOST_ORDER, Chains
from cmgems.pretraining.pipeline import ROWS, PretrainingData
from cmgems.runs.health import NEIGHBOURS, ORDERS, UNIGRAM, Guesses, markov
from cmgems.tokenization import Tokenizer, TokenMap, overlapping

Ints = npt.NDArray[np.int64]
# Nats of each masked token, and whether its likeliest guess is right.
Answers = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]

KEPT = 1 - MASK_SHARE - RANDOM_SHARE
# Enough for three digits, in seconds.
FIT_BASES, FIT_TOKENS = 20_000_000, 1_000_000
MOST_TOKENS = 100_000
# Every stretch as long as a token is looked at.
LONGEST_TOKEN = 8


@dataclass(frozen=True, eq=False)
class MaskedRow:
    """A row of a batch as bases.

    Attributes:
        visible_L: uint8, bases of the tokens that are not masked; the others are 255.
        starts_M, lengths_M: int64, first base and number of bases of each masked token (bp).
        truths_M: int64, its bases as a base-4 number.
        shown_M: int64, the same of the token that the input shows instead; -1 for [MASK], or one of another length.
    """

    visible_L: Codes
    starts_M: Ints
    lengths_M: Ints
    truths_M: Ints
    shown_M: Ints


@dataclass(frozen=True, eq=False)
class Speller:
    """Turns token ids into bases."""

    map: TokenMap
    letters_VK: Codes
    numbers_V: Ints

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Speller:
        """The letters of each known token, and its number."""
        tokens = TokenMap(tokenizer)
        known = tokenizer.known_ids
        letters_VK = np.full((tokenizer.vocab_size, tokens.lengths.max()), AMBIGUOUS, np.uint8)
        numbers_V = np.full(tokenizer.vocab_size, -1)
        for token in known:
            codes_K = encode(tokens.vocabulary[token].encode())
            letters_VK[token, : len(codes_K)] = codes_K
            numbers_V[token] = int("".join(map(str, codes_K.tolist())), 4)
        return cls(tokens, letters_VK, numbers_V)

    def rows(self, batch: MaskedBatch) -> Iterator[MaskedRow]:
        """The rows of a batch that have masked tokens."""
        true_BS = batch.ids_BS.copy()
        true_BS.flat[batch.positions_M] = batch.labels_M
        masked_BS = np.zeros(true_BS.shape, np.bool_)
        masked_BS.flat[batch.positions_M] = True
        for true_S, input_S, masked_S in zip(true_BS, batch.ids_BS, masked_BS, strict=True):
            if masked_S.any():
                yield self._row(true_S, input_S, masked_S)

    def _row(
        self, true_S: npt.NDArray[np.int32], input_S: npt.NDArray[np.int32], masked_S: npt.NDArray[np.bool_]
    ) -> MaskedRow:
        body_T = self.map.body(true_S)
        true_T, masked_T = true_S[body_T], masked_S[body_T]
        spans_T2 = self.map.spans(true_T)
        visible_L = np.full(spans_T2.max(), HIDDEN, np.uint8)
        starts, shown = spans_T2[~masked_T, 0], self.letters_VK[true_T[~masked_T]]
        for offset, letters in enumerate(shown.T):
            known = letters != AMBIGUOUS
            visible_L[starts[known] + offset] = letters[known]
        labels_M, input_M = true_T[masked_T], input_S[body_T][masked_T]
        lengths_M = self.map.lengths[labels_M]
        same_M = self.map.lengths[input_M] == lengths_M
        shown_M = np.where(same_M, self.numbers_V[input_M], -1)
        return MaskedRow(visible_L, spans_T2[masked_T, 0], lengths_M, self.numbers_V[labels_M], shown_M)


def measure_baselines(data: PretrainingData, batches: Sequence[MaskedBatch]) -> dict[str, Guesses | None]:
    """Guess the masked validation tokens without a model.

    Args:
        data: Its first training windows are counted: 20 Mbp for the chains, a million tokens for their frequencies.
        batches: Of ``data.validation_batches``; of more than 100,000 masked tokens, an even share of the batches.

    Returns:
        By their keys in ``cmgems.runs.health``; None of what does not apply to the tokenizer.
    """
    tokens = sum(len(batch.labels_M) for batch in batches)
    batches = batches[:: -(-tokens // MOST_TOKENS)]
    codes_BL, lengths_B = training_bases(data)
    shares_V = token_shares(training_ids(data, codes_BL, lengths_B), data.tokenizer)
    found: dict[str, Guesses | None] = {UNIGRAM: guess_blindly(shares_V, batches, data.tokenizer)}
    if not has_kmers(data.tokenizer):
        return found | dict.fromkeys([*map(markov, ORDERS), NEIGHBOURS])
    return found | guess_by_chains(Chains.fit(codes_BL, lengths_B), batches, data.tokenizer)


def has_kmers(tokenizer: Tokenizer) -> bool:
    """Whether its known tokens are made of up to 8 of A, C, G and T, all or most of them of the same number."""
    vocabulary = tokenizer.vocabulary()
    spelt = all(set(vocabulary[token]) <= set(BASES) for token in tokenizer.known_ids)
    return 0 < tokenizer.k <= LONGEST_TOKEN and spelt


def guess_by_chains(
    chains: Chains, batches: Sequence[MaskedBatch], tokenizer: Tokenizer
) -> dict[str, Guesses | None]:
    """The guesses of the chains, and what overlapping tokens give away, by their keys."""
    speller = Speller.of(tokenizer)
    rows = [row for batch in batches for row in speller.rows(batch)]
    other = RANDOM_SHARE / len(tokenizer.known_ids)
    found: dict[str, Guesses | None] = {
        markov(order): _beside(rows, chains, order, other) for order in ORDERS
    }
    found[NEIGHBOURS] = _read_off(rows, chains, tokenizer.k, other) if overlapping(tokenizer) else None
    return found


def token_shares(ids: Iterable[npt.NDArray[np.int32]], tokenizer: Tokenizer) -> npt.NDArray[np.float64]:
    """How frequent each known token is: float64 (V,), 0 for the others; one not met counts as met once."""
    known = np.zeros(tokenizer.vocab_size)
    known[tokenizer.known_ids.start : tokenizer.known_ids.stop] = 1
    counts_V = known.copy()
    for ids_BS in ids:
        counts_V += known * np.bincount(ids_BS.ravel(), minlength=len(known))
    shares_V: npt.NDArray[np.float64] = counts_V / counts_V.sum()
    return shares_V


def guess_blindly(
    shares_V: npt.NDArray[np.float64], batches: Sequence[MaskedBatch], tokenizer: Tokenizer
) -> Guesses:
    """Guess by the frequencies of tokens, and what the input shows in their place."""
    labels_M = np.concatenate([batch.labels_M for batch in batches])
    input_M = np.concatenate([batch.ids_BS.flat[batch.positions_M] for batch in batches])
    other = RANDOM_SHARE / len(tokenizer.known_ids)
    shown_M = input_M != tokenizer.mask_id
    # By Bayes' rule, how much likelier than by its frequency a token is.
    likelier_M = np.where(labels_M == input_M, KEPT + other, other) / (KEPT * shares_V[input_M] + other)
    nats_M = -np.log(shares_V[labels_M] * np.where(shown_M, likelier_M, 1))
    believed_M = shown_M & (shares_V[input_M] * (KEPT + other) > shares_V.max() * other)
    guesses_M = np.where(believed_M, input_M, shares_V.argmax())
    return Guesses(float(nats_M.mean()), float((guesses_M == labels_M).mean()))


def training_bases(data: PretrainingData) -> tuple[Codes, npt.NDArray[np.int32]]:
    """The first training windows: uint8 (B, L), padded with 255, and int32 (B,) lengths (bp)."""
    starts_N, lengths_N = data.epoch_windows(0)
    count = int(np.searchsorted(np.cumsum(lengths_N, dtype=np.int64), FIT_BASES)) + 1
    starts_B, lengths_B = starts_N[:count], lengths_N[:count]
    codes_BL = np.empty((len(starts_B), int(lengths_B.max())), np.uint8)
    gather(data.store.codes, starts_B, lengths_B, codes_BL)
    return codes_BL, lengths_B


def training_ids(
    data: PretrainingData, codes_BL: Codes, lengths_B: npt.NDArray[np.int32]
) -> Iterator[npt.NDArray[np.int32]]:
    """Token ids of the first of some windows, int32 (rows, S), a million tokens."""
    found = 0
    for first in range(0, len(codes_BL), ROWS):
        rows = slice(first, first + ROWS)
        ids_BS = data.tokenizer.encode_batch(codes_BL[rows], lengths_B[rows], data.full_tokens)
        found += int(np.count_nonzero(ids_BS != data.tokenizer.pad_id))
        yield ids_BS
        if found >= FIT_TOKENS:
            return


def _beside(rows: Sequence[MaskedRow], chains: Chains, order: int, other: float) -> Guesses:
    chain = chains.transitions(order, order), chains.start(order, order), KEPT, other

    def guess(row: MaskedRow) -> Answers:
        answers: Answers = guess_beside(
            row.visible_L, row.starts_M, row.lengths_M, row.truths_M, row.shown_M, *chain
        )
        return answers

    return _mean(guess, rows)


def _read_off(rows: Sequence[MaskedRow], chains: Chains, k: int, other: float) -> Guesses:
    bases = max(MOST_ORDER, k - 1)
    chain = chains.transitions(MOST_ORDER, bases), chains.start(MOST_ORDER, bases), KEPT, other

    def guess(row: MaskedRow) -> Answers:
        shown_L = np.full(len(row.visible_L), -1)
        shown_L[row.starts_M + k - 1] = row.shown_M
        answers: Answers = guess_read_off(row.visible_L, row.starts_M, row.truths_M, shown_L, k, *chain)
        return answers

    return _mean(guess, rows)


def _mean(guess: Callable[[MaskedRow], Answers], rows: Sequence[MaskedRow]) -> Guesses:
    """Over all masked tokens; the kernels run without Python's lock."""
    with ThreadPoolExecutor(default_workers()) as pool:
        answers = list(pool.map(guess, rows))
    nats_M, right_M = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    return Guesses(float(nats_M.mean()), float(right_M.mean()))
