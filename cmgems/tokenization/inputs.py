"""What all tokenizers do with text and batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmgems.genome.letters import checked_codes
from cmgems.tokenization.base import Tokenizer


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


def spell(tokenizer: Tokenizer, ids: npt.ArrayLike) -> str:
    """The bases of tokens side by side; one N for each [MASK] and [UNK], nothing for the other special tokens."""
    words = [""] * tokenizer.special_count + tokenizer.vocabulary()[tokenizer.special_count :]
    words[tokenizer.unk_id] = words[tokenizer.mask_id] = "N"
    return "".join(words[i] for i in np.asarray(ids, np.int64).ravel())
