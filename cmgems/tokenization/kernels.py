"""Base codes to token ids, as a compiled loop over the batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmgems.genome.alphabet import AMBIGUOUS
from cmgems.jit import kernel


@kernel
def kmer_ids(
    codes_BL: npt.NDArray[np.uint8],
    lengths_B: npt.NDArray[np.int32],
    k: int,
    first_id: int,
    pad_id: int,
    unk_id: int,
    cls_id: int,
    sep_id: int,
    ids_BS: npt.NDArray[np.int32],
) -> None:
    """Write the ids of overlapping k-mers, k in 3..6, to ``ids_BS``.

    A k-mer is put together from three pairs of neighbouring bases that cover it, at offsets 0, min(2, k-2)
    and k-2. Where two pairs share a base they agree on its bits, so OR joins them. Unlike a rolling number
    it does not depend on the k-mer before, so it compiles to vector instructions of 8 and 16 bits. Rows with an
    ambiguous base, which are few, are corrected afterwards.

    Args:
        codes_BL: uint8, A, T, C, G = 0..3, 255 = ambiguous.
        lengths_B: int32, bases in each row; rows shorter than k become ``[CLS] [SEP]``.
        ids_BS: int32, written in full; S must hold the longest row.
    """
    two = np.uint8(2)
    middle, last = min(2, k - 2), k - 2
    first_shift, middle_shift, first = (
        np.uint16(2 * last),
        np.uint16(2 * (last - middle)),
        np.uint16(first_id),
    )
    pairs = np.empty(codes_BL.shape[1], np.uint8)
    for b in range(ids_BS.shape[0]):
        count = max(lengths_B[b] - k + 1, 0)
        row = ids_BS[b]
        if count > 0:
            codes = codes_BL[b, : count + k - 1]
            left, right = codes[:-1], codes[1:]
            for i in range(len(left)):
                pairs[i] = np.uint8(np.uint8(left[i] << two) | right[i])
            pairs_0, pairs_1, pairs_2 = (
                pairs[:count],
                pairs[middle : middle + count],
                pairs[last : last + count],
            )
            out = row[1 : count + 1]
            for i in range(count):
                upper = np.uint16(np.uint16(pairs_0[i]) << first_shift)
                upper |= np.uint16(np.uint16(pairs_1[i]) << middle_shift)
                out[i] = np.uint16(np.uint16(upper | np.uint16(pairs_2[i])) + first)
            seen = np.uint8(0)  # all codes or-ed: 255 if and only if one of them is
            for i in range(len(codes)):
                seen |= codes[i]
            if seen == AMBIGUOUS:
                for i in range(len(codes)):
                    if codes[i] == AMBIGUOUS:
                        out[max(i - k + 1, 0) : i + 1] = unk_id
        row[0] = cls_id
        row[count + 1] = sep_id
        row[count + 2 :] = pad_id


@kernel
def side_by_side_ids(
    codes_BL: npt.NDArray[np.uint8],
    lengths_B: npt.NDArray[np.int32],
    first_id: int,
    pad_id: int,
    cls_id: int,
    ids_BS: npt.NDArray[np.int32],
) -> None:
    """Write the ids of 6-mers side by side, and of single bases where the next six are not all known, to ``ids_BS``.

    Args:
        codes_BL: uint8, A, T, C, G = 0..3, 255 = ambiguous.
        lengths_B: int32, bases in each row.
        first_id: The first 6-mer's id; after the 6-mers come A, T, C, G and N.
        ids_BS: int32, written in full; a row that does not fit is cut.
    """
    bases_id = first_id + 4**6
    for b in range(ids_BS.shape[0]):
        codes, row, length = codes_BL[b], ids_BS[b], lengths_B[b]
        row[0] = cls_id
        i, s = 0, 1
        while i < length and s < len(row):
            if i + 6 <= length:
                number, seen = np.int32(0), np.uint8(0)  # seen: all codes or-ed, above 3 if one is ambiguous
                for j in range(i, i + 6):
                    number = np.int32(number << 2 | codes[j])
                    seen |= codes[j]
                if seen < 4:
                    row[s] = first_id + number
                    i, s = i + 6, s + 1
                    continue
            row[s] = bases_id + min(int(codes[i]), 4)
            i, s = i + 1, s + 1
        row[s:] = pad_id
