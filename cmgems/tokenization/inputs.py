"""What all tokenizers do with text and batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmgems.genome.alphabet import AMBIGUOUS, Codes
from cmgems.genome.letters import checked_codes
from cmgems.tokenization.base import Tokenizer

ROWS_AT_ONCE = 64  # tokenized together: enough to be quick, few enough for rows of any length


def longest_row(codes_BL: npt.NDArray[np.uint8], lengths_B: npt.NDArray[np.int32]) -> int:
    """The greatest of ``lengths_B`` (bp), 0 if there is none.

    Raises:
        ValueError: if there is not one length a row, or one is longer than the rows.
    """
    longest = int(lengths_B.max(initial=0))
    if len(lengths_B) != len(codes_BL) or longest > codes_BL.shape[1]:
        raise ValueError(f"{len(lengths_B)} lengths up to {longest} do not fit codes {codes_BL.shape}")
    return longest


def longest_that_fits(
    tokenizer: Tokenizer, codes_BL: npt.NDArray[np.uint8], lengths_B: npt.NDArray[np.int32], tokens: int
) -> int:
    """``longest_row`` for tokenizers whose number of tokens depends on the length alone.

    Raises:
        ValueError: as ``longest_row``, or if it does not fit ``tokens`` positions.
    """
    longest = longest_row(codes_BL, lengths_B)
    if tokenizer.token_count(longest) > tokens:
        raise ValueError(f"{longest} bp need {tokenizer.token_count(longest)} positions, not {tokens}")
    return longest


def encode_alone(tokenizer: Tokenizer, sequence: str) -> npt.NDArray[np.int32]:
    """Ids of one sequence without padding, for tokenizers that never make more tokens than bases.

    Raises:
        RecordError: as ``checked_codes``.
    """
    codes_1L = checked_codes(sequence, "sequence")[None, :]
    lengths_1 = np.array([len(sequence)], np.int32)
    ids_S = tokenizer.encode_batch(codes_1L, lengths_1, len(sequence) + 2)[0]
    return np.extract(ids_S != tokenizer.pad_id, ids_S)


def encode_rows(tokenizer: Tokenizer, codes: Sequence[Codes]) -> list[npt.NDArray[np.int32]]:
    """Ids of each sequence, int32 (S,), with [CLS] and [SEP], without padding, however many."""
    ids: list[npt.NDArray[np.int32]] = []
    for first in range(0, len(codes), ROWS_AT_ONCE):
        ids += _encode_together(tokenizer, codes[first : first + ROWS_AT_ONCE])
    return ids


def _encode_together(tokenizer: Tokenizer, codes: Sequence[Codes]) -> list[npt.NDArray[np.int32]]:
    lengths_B = np.array([len(codes_L) for codes_L in codes], np.int32)
    longest = int(lengths_B.max())
    codes_BL = np.full((len(codes), longest), AMBIGUOUS, np.uint8)
    for row_L, codes_L in zip(codes_BL, codes, strict=True):
        row_L[: len(codes_L)] = codes_L
    # Ambiguous bases may become a token each, which token_count does not reckon with.
    ids_BS = tokenizer.encode_batch(codes_BL, lengths_B, max(tokenizer.token_count(longest), longest + 2))
    kept_BS = ids_BS != tokenizer.pad_id
    return np.split(ids_BS[kept_BS], np.cumsum(kept_BS.sum(1))[:-1])


def spell(tokenizer: Tokenizer, ids: npt.ArrayLike) -> str:
    """The bases of tokens side by side; one N for each [MASK] and [UNK], nothing for the other special tokens."""
    words = [""] * tokenizer.special_count + tokenizer.vocabulary()[tokenizer.special_count :]
    words[tokenizer.unk_id] = words[tokenizer.mask_id] = "N"
    return "".join(words[i] for i in np.asarray(ids, np.int64).ravel())
