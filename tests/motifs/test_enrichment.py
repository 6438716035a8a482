"""Words counted once a sequence, and the tests on their numbers."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.genome import decode, encode, reverse_complement
from cmgems.motifs.enrichment import TwoSets, benjamini_hochberg, hypergeometric, words

SEQUENCES = st.lists(st.text("ACGTN", min_size=1, max_size=30), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(positives=SEQUENCES, negatives=SEQUENCES, width=st.integers(2, 5), both_strands=st.booleans())
def test_presence_is_what_a_search_of_each_sequence_finds(positives, negatives, width, both_strands):
    sets = TwoSets.of(
        [encode(s.encode()) for s in positives], [encode(s.encode()) for s in negatives], gap=width + 2
    )
    words_L = words(sets.codes_L, width, both_strands)
    for only_positives, texts in ((True, positives), (False, positives + negatives)):
        expected = np.zeros(4**width, int)
        for text in texts:
            held = {text[i : i + width] for i in range(len(text) - width + 1)}
            for number in {number_in_base_4(w, both_strands) for w in held if "N" not in w}:
                expected[number] += 1
        assert (sets.presence(words_L, width, only_positives) == expected).all()


def number_in_base_4(word, both_strands):
    """The lower number of a word and its other strand."""
    turned = decode(reverse_complement(encode(word.encode())))
    forms = [word, turned] if both_strands else [word]
    return min(int(form.translate(str.maketrans("ATCG", "0123")), 4) for form in forms)


def test_hypergeometric_of_a_hand_made_table():
    # 5 positives and 7 negatives, 4 of the 12 with the word, 3 of them positives.
    by_hand = sum(comb(4, x) * comb(8, 5 - x) for x in (3, 4)) / comb(12, 5)
    found = hypergeometric(np.array([3, 0, 4]), np.array([4, 4, 4]), 5, 7)
    assert found == pytest.approx([by_hand, 1, comb(8, 1) / comb(12, 5)])


def test_benjamini_hochberg_by_hand():
    assert benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx(
        [0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5]
    )
