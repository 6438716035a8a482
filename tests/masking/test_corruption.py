from __future__ import annotations

import numpy as np

from cmgems.masking import STRATEGIES, Ranks, mask_batch
from cmgems.pmi import PMITable
from cmgems.tokenization import TOKENIZERS
from tests.masking.common import random_ranks

TOKENIZER = TOKENIZERS.get("kmer6")
RANKS = random_ranks(6, 0)


def unmasked(rows=300):
    ids = np.random.default_rng(4).integers(5, 4101, (rows, 512)).astype(np.int32)
    ids[:, 0], ids[:, 500], ids[:, 501:] = TOKENIZER.cls_id, TOKENIZER.sep_id, TOKENIZER.pad_id
    return ids


def masked(name="genemask", rows=300, seed=0, rank_by="token"):
    ids = unmasked(rows)
    named = name, STRATEGIES.get(name)
    samples = np.arange(rows, dtype=np.uint64)
    return ids, mask_batch(ids, samples, RANKS, named, rate=0.15, seed=seed, rank_by=rank_by)


def test_eighty_ten_ten():
    ids, batch = masked()
    before, after = ids.ravel()[batch.positions_M], batch.ids_BS.ravel()[batch.positions_M]
    assert np.array_equal(before, batch.labels_M)
    shares = [(after == TOKENIZER.mask_id).mean(), ((after != before) & (after != TOKENIZER.mask_id)).mean()]
    assert np.allclose(shares, [0.8, 0.1], atol=0.01)


def test_random_replacements_are_kmers_of_every_kind():
    _, batch = masked()
    replaced = batch.ids_BS.ravel()[batch.positions_M]
    replaced = replaced[replaced != TOKENIZER.mask_id]
    assert replaced.min() >= TOKENIZER.special_count
    assert len(np.unique(replaced)) > 2000
    assert replaced.max() > 4090


def test_other_positions_are_untouched():
    ids, batch = masked()
    rest = np.ones(ids.size, bool)
    rest[batch.positions_M] = False
    assert np.array_equal(ids.ravel()[rest], batch.ids_BS.ravel()[rest])
    assert np.array_equal(batch.attention_BS, ids != TOKENIZER.pad_id)


def test_the_input_is_not_changed_and_seeds_differ():
    ids, batch = masked()
    assert np.array_equal(ids, unmasked())
    assert np.array_equal(batch.positions_M, masked()[1].positions_M)
    assert not np.array_equal(batch.positions_M[:100], masked(seed=1)[1].positions_M[:100])


def test_ranking_by_position_masks_the_same_places_of_every_sequence():
    _, by_position = masked("global_pmi", rank_by="position")
    _, by_token = masked("global_pmi")
    places = [len(np.unique(b.positions_M % 512)) for b in (by_position, by_token)]
    assert places[0] < 250
    assert places[1] > 480


def test_tokens_get_their_ranks_and_specials_are_not_maskable():
    ids = np.array([[2, 5, 6, 3]], np.int32)
    assert RANKS.maskable(ids).tolist() == [[False, True, True, False]]
    assert RANKS.look_up(ids).tolist() == [[4097, *RANKS.of_words[5:7], 4097]]
    assert RANKS.look_up(ids, "position").tolist() == [[4097] * 4]


def test_n_is_neither_masked_nor_a_replacement():
    tokenizer = TOKENIZERS.get("nt_v2")
    n, single_base = tokenizer.vocab_size - 1, tokenizer.vocab_size - 2
    ids = np.random.default_rng(4).choice([n, single_base, 100], (200, 512)).astype(np.int32)
    ids[:, 0], ids[:, 500:] = tokenizer.cls_id, tokenizer.pad_id
    ranks = Ranks.of(None, tokenizer)
    samples = np.arange(200, dtype=np.uint64)
    for name in ("uniform", "random_span", "genemask", "global_pmi"):
        named = name, STRATEGIES.get(name)
        batch = mask_batch(ids, samples, ranks, named, rate=0.5, seed=0)
        assert set(np.unique(batch.labels_M)) == {100, single_base}
        new = batch.ids_BS.ravel()[batch.positions_M]
        new = new[~np.isin(new, [100, single_base, tokenizer.mask_id])]
        assert new.min() >= tokenizer.special_count
        assert tokenizer.known_ids.stop - 50 < new.max() < tokenizer.known_ids.stop
    maskable = ranks.maskable(np.array([[3, n, single_base, 6, 5, 1]], np.int32))
    assert maskable.tolist() == [[False, False, True, True, False, False]]


def test_the_released_bug_on_the_published_table(shared_data):
    """The released Global-PMI, which ranks by position, touches 109 of 510 positions over 400 sequences."""
    ranks = Ranks.of(PMITable.load(shared_data / "human_6mer_npmi.csv"), TOKENIZER)
    ids = np.random.default_rng(5).integers(5, 4101, (400, 512)).astype(np.int32)
    ids[:, 0], ids[:, 511] = TOKENIZER.cls_id, TOKENIZER.sep_id
    named = "global_pmi", STRATEGIES.get("global_pmi")
    samples = np.arange(400, dtype=np.uint64)
    batch = mask_batch(ids, samples, ranks, named, rate=0.15, seed=0, rank_by="position")
    positions, times = np.unique(batch.positions_M % 512, return_counts=True)
    assert 80 < len(positions) < 140
    # Positions 1 to 10 are around id 5, AAAAAA: masked whenever a sequence draws any centre.
    assert np.isin(np.arange(1, 11), positions[times > 390]).all()
