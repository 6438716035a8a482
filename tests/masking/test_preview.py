"""The preview from Python: what the command shows, as values."""

from __future__ import annotations

import numpy as np
import pytest

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import encode
from cmgems.masking.preview import mask_preview
from cmgems.masking.stats import HIDDEN, VISIBLE, strategy_stats
from cmgems.pmi import PMITable
from cmgems.tokenization import BpeTokenizer


@pytest.fixture
def sequences(small_genome):
    letters = small_genome.fasta.read_text().splitlines()[1]
    return [letters[:300], letters[400:520]]


def test_strings_are_shown_whole(small_genome, sequences):
    table = PMITable.load(small_genome.table)
    hidden = mask_preview(sequences, table, ["random_span", "global_pmi"], rate=0.3, seed=1)
    assert [(preview.strategy, preview.rank_by) for preview in hidden] == [
        ("random_span", None),
        ("global_pmi", "token"),
    ]
    for preview in hidden:
        assert [one.bases for one in preview.sequences] == sequences
        assert [one.name for one in preview.sequences] == ["sequence 1", "sequence 2"]
        assert 0 < preview.share < 1
        assert any(HIDDEN in one.states for one in preview.sequences)
        for one in preview.sequences:
            assert one.states.shape == (len(one.bases),)
            assert VISIBLE in one.states
            assert set(one.tenths[:-5]) <= set("0123456789")
            assert one.tenths[-5:] == " " * 5  # no 6-mer starts there
    again = mask_preview(sequences, small_genome.table, ["global_pmi"], rate=0.3, seed=1)[0]
    np.testing.assert_array_equal(again.sequences[1].states, hidden[1].sequences[1].states)


@pytest.mark.parametrize("name", ["random_span", "global_pmi"])
def test_single_bases_have_the_tenths_of_the_6_mers_there(small_genome, sequences, name):
    (kmers,) = mask_preview(sequences, small_genome.table, [name])
    (bases,) = mask_preview(sequences, small_genome.table, [name], k=1)
    assert [one.tenths for one in bases.sequences] == [one.tenths for one in kmers.sequences]
    for one in bases.sequences:
        assert set(one.states) == {HIDDEN, VISIBLE}  # a base is its token
    (figures,) = strategy_stats(sequences, small_genome.table, [name], k=1)
    assert figures.hidden_share == figures.token_share > 0
    assert figures.histogram is not None
    assert sum(figures.histogram) == pytest.approx(1)


@pytest.mark.parametrize("name", ["uniform", "pmi_spans", "global_pmi"])
def test_pieces_are_hidden_whole(small_genome, small_bpe, sequences, name):
    (hidden,) = mask_preview(sequences, small_genome.table, [name], tokenizer=small_bpe, rate=0.4)
    tokenizer = BpeTokenizer(small_bpe)
    vocabulary, ranks_V = tokenizer.vocabulary(), PMITable.load(small_genome.table).token_ranks(tokenizer)
    masked = pieces = 0
    for one in hidden.sequences:
        ids = tokenizer.encode(one.bases)[1:-1]
        starts = np.cumsum([0, *(len(vocabulary[i]) for i in ids)])
        for token, start, end in zip(ids, starts[:-1], starts[1:], strict=True):
            states = set(one.states[start:end].tolist())
            assert states in ({HIDDEN}, {VISIBLE})
            tenth = min((ranks_V[token] - 1) * 10 // ranks_V[tokenizer.special_count :].max(), 9)
            assert one.tenths[start:end] == str(tenth).ljust(end - start)
            masked, pieces = masked + (states == {HIDDEN}), pieces + 1
    assert hidden.share == masked / pieces > 0
    (figures,) = strategy_stats(sequences, small_genome.table, [name], tokenizer=small_bpe)
    assert 0 < figures.token_share < 0.5
    assert figures.hidden_share > 0


def test_tokens_side_by_side_hide_six_bases_or_one(small_genome, sequences):
    sequence = sequences[0][:60] + "N" + sequences[0][60:100]
    (hidden,) = mask_preview([sequence], small_genome.table, ["uniform"], tokenizer="nt_v2", rate=0.5, seed=2)
    (one,) = hidden.sequences
    assert one.states[60] == VISIBLE  # N is not masked
    for start in range(0, 60, 6):
        assert len(set(one.states[start : start + 6])) == 1
    assert one.tenths[60] == " "


def test_tokens_are_asked_for_once(small_bpe):
    with pytest.raises(CmgemsError, match="`k` and `tokenizer` are both set"):
        mask_preview("ACGTACGT", k=6, tokenizer=small_bpe)
    with pytest.raises(CmgemsError, match="did you mean 'nt_v2'"):
        mask_preview("ACGTACGT", tokenizer="nt_v3")


def test_single_bases_have_no_rank_by_position(small_genome, sequences):
    with pytest.raises(CmgemsError, match="no rank by position in rank_by"):
        mask_preview(sequences, small_genome.table, ["global_pmi"], k=1, rank_by="position")


def test_one_string_is_one_sequence_and_codes_keep_their_name(sequences):
    (from_text,) = mask_preview(sequences[0], strategies=["uniform"])
    (from_codes,) = mask_preview([("mine", encode(sequences[0].encode()))], strategies=["uniform"])
    assert from_codes.sequences[0].name == "mine"
    np.testing.assert_array_equal(from_text.sequences[0].states, from_codes.sequences[0].states)


def test_a_target_rate_is_solved_for_on_the_sequences_themselves(small_genome, sequences):
    (preview,) = mask_preview(sequences, small_genome.table, ["genemask"], target_rate=0.3)
    assert abs(preview.share - 0.3) < 0.15  # one mask of 400 tokens


def test_statistics_of_strings(small_genome, sequences):
    rows = strategy_stats(sequences, small_genome.table, ["random_span", "global_pmi"], rate=0.3)
    assert [(row.strategy, row.rank_by) for row in rows] == [
        ("random_span", None),
        ("global_pmi", "token"),
        ("global_pmi", "position"),
    ]
    assert {row.sequences for row in rows} == {2}


@pytest.mark.parametrize("of", [mask_preview, strategy_stats])
def test_mistakes(of, sequences):
    with pytest.raises(
        DataError, match=r"not DNA in sequence 1, position \d+: found '\.'; .*; a file is given as a Path"
    ):
        of("my.fa")
    with pytest.raises(DataError, match="no A, C, G or T in sequences"):
        of([])
    with pytest.raises(CmgemsError, match="'genemask' needs a PMI table"):
        of(sequences, strategies=["genemask"])
    with pytest.raises(CmgemsError, match="`rate` and `target_rate` are both set"):
        of(sequences, rate=0.2, target_rate=0.2)


def test_too_short_a_sequence_has_no_window():
    with pytest.raises(DataError, match="no stretch of 6 bases A, C, G, T in sequences"):
        strategy_stats("ACGTN")
