"""Rows of tokens that fit the model, whatever the sequence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.genome import encode, reverse_complement
from cmgems.inference import Cutter
from cmgems.tokenization import TOKENIZERS, KmerTokenizer, TokenMap

REGISTERED = [name for name in TOKENIZERS.names() if TOKENIZERS.get(name).k]


@settings(deadline=None, max_examples=40)
@given(sequence=st.lists(st.sampled_from(["ACGTTG", "N", "NNNNNNNNNN", "A"]), min_size=1, max_size=40))
@pytest.mark.parametrize("name", [*REGISTERED, "pieces"])
def test_every_row_fits_and_every_base_has_one_owner(name, sequence, pieces):
    tokens = TokenMap(pieces if name == "pieces" else TOKENIZERS.get(name))
    codes = encode("".join(sequence).encode())
    rows = list(Cutter(tokens, 20).pieces(0, codes))
    owners = np.zeros(len(codes), int)
    for piece in rows:
        assert len(piece.ids_S) <= 20
        assert tokens.known(piece.ids_S).any()
        owners[piece.window.own_start : piece.window.own_end] += 1
    assert owners.max(initial=0) <= 1
    if not tokens.overlapping:  # no known base is lost; overlapping tokens need k in a row
        assert (owners[codes < 4] == 1).all()


def test_windows_with_many_tokens_are_cut_again(side_by_side):
    cutter = Cutter(TokenMap(side_by_side), 11)
    codes = encode(b"ACG" * 9 + b"N" * 40 + b"A")
    pieces = list(cutter.pieces(0, codes))
    assert max(len(p.ids_S) for p in pieces) <= 11
    assert all(p.window.start % 3 == 0 for p in pieces)
    owned = np.concatenate([np.arange(p.window.own_start, p.window.own_end) for p in pieces])
    assert sorted(set(owned)) == sorted(owned)
    assert set(np.flatnonzero(codes < 4)) <= set(owned)


def test_a_sequence_of_few_tokens_is_one_row_however_long(pieces):
    cutter = Cutter(TokenMap(pieces), 12)
    assert cutter.window_bp == 40
    few, many = encode(b"ACGT" * 10), encode(b"ACGT" * 11)
    assert [len(p.ids_S) for p in cutter.pieces(0, few)] == [12]
    assert len(list(cutter.pieces(0, many))) == 2
    assert len(list(cutter.pieces(0, encode(b"TG" * 10)))) > 1


def test_around(side_by_side):
    tokens = TokenMap(KmerTokenizer(3))
    cutter = Cutter(tokens, 12)
    assert cutter.window_bp == 12
    codes = np.random.default_rng(0).integers(0, 4, 40).astype(np.uint8)
    for base, start in ((20, 14), (1, 0), (39, 28)):
        ids_S, at = cutter.around(codes, base, reverse=False)
        assert at == base - start
        assert (ids_S == cutter.encode(codes[start : start + 12])).all()
        ids_S, at = cutter.around(codes, base, reverse=True)
        assert at == 11 - (base - start)
        assert (ids_S == cutter.encode(reverse_complement(codes[start : start + 12]))).all()
    # A contig that is shorter than a window, and a window whose N need more tokens than there are.
    assert cutter.around(codes[:8], 3, reverse=False)[1] == 3
    ids_S, at = Cutter(TokenMap(side_by_side), 12).around(encode(b"N" * 30 + b"ACG"), 31, reverse=False)
    assert len(ids_S) <= 12


def test_an_overlap_shorter_than_a_token_is_refused():
    with pytest.raises(CmgemsError, match="give 3 bp or more"):
        next(Cutter(TokenMap(KmerTokenizer(3)), 12, overlap_bp=2).windows(100))
