"""Soft-masked bases of the genome store reach the tokens of the training windows, whatever the tokenizer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cmgems.config import Component
from cmgems.errors import CmgemsError
from cmgems.genome import GenomeStore, Split, store_content
from cmgems.masking import Masker, MaskingConfig
from cmgems.masking.random import turned_rows
from cmgems.pretraining import GenomeData, PretrainingData
from cmgems.pretraining.nodes import WindowBatch
from cmgems.tokenization import TOKENIZERS, BpeTokenizer, TokenMap

SEED = 3


@pytest.fixture(scope="module")
def soft_store(tmp_path_factory):
    """A genome whose soft-masked bases are those of the letters A and C: a token tells how many it has."""
    folder = tmp_path_factory.mktemp("soft")
    rng = np.random.default_rng(5)
    contigs = ["".join(rng.choice(list("acGT"), 12_000)) for _ in range(2)]
    contigs[0] = f"{contigs[0][:5000]}{'N' * 30}{contigs[0][5000:]}"
    (folder / "genome.fa").write_text("".join(f">c{i}\n{bases}\n" for i, bases in enumerate(contigs)))
    GenomeStore.build([folder / "genome.fa"], folder / "store", soft_mask=True)
    GenomeStore.build([folder / "genome.fa"], folder / "hard")
    return folder / "store"


def data_of(store, tokenizer, sampler="tiled", **changes):
    config = GenomeData(store=store, sampler=Component(sampler, {"max_bp": 90}), split=Split(block_bp=2000))
    return PretrainingData(dataclasses.replace(config, **changes), tokenizer, 512, seed=SEED)


def masker_of(tokenizer, soft_mask=0.1):
    config = MaskingConfig(Component("fixed", {"masking": "random_span"}), rate=0.5, soft_mask=soft_mask)
    return Masker(config, tokenizer, steps=50, seed=SEED)


def expected(tokens, ids_S, turned):
    """By the letters of each token; those of a turned window were paired with A and C."""
    soft = "TG" if turned else "AC"
    found = []
    for token, known in zip(ids_S, tokens.known(ids_S), strict=True):
        letters = tokens.vocabulary[token] if known else ""
        if tokens.overlapping:
            letters = letters[(tokens.tokenizer.k - 1) // 2 :][:1]
        found.append(2 * sum(letter in soft for letter in letters) > len(letters))
    return found


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("sampler", ["tiled", "genemask"])  # the second one's windows go on after an N
@pytest.mark.parametrize("name", ["base", "kmer6", "kmer3", "nt_v2", "bpe"])
def test_tokens_are_soft_masked_as_their_bases_are(soft_store, small_bpe, name, sampler, share):
    tokenizer = BpeTokenizer(small_bpe) if name == "bpe" else TOKENIZERS.get(name)
    data = data_of(soft_store, tokenizer, sampler, reverse_complement=share)
    soft_mask = data.soft_mask(masker_of(tokenizer))
    starts_B, lengths_B = (array[:40] for array in data.epoch_windows(0))
    samples_B = np.arange(40, dtype=np.uint64)
    windows = WindowBatch(starts_B, lengths_B, samples_B, data.padded_tokens(int(lengths_B.max())))
    batch = data.training_ids(windows, soft_mask)
    assert turned_rows(SEED, samples_B, share).all() == share
    tokens = TokenMap(tokenizer)
    for ids_S, soft_S in zip(batch.ids_BS, batch.soft_BS, strict=True):
        assert soft_S.tolist() == expected(tokens, ids_S, turned=share == 1)
    assert batch.soft_BS.any()


def stream_of(store, *, rank=0, world=1, state=None, **changes):
    tokenizer = TOKENIZERS.get("kmer6")
    stream = data_of(store, tokenizer, reverse_complement=0.5, **changes).stream(
        masker_of(tokenizer), 8, rank, world
    )
    stream.reset(state)
    return stream


def take(stream, count):
    return [(batch.ids_BS, batch.positions_M) for batch in (next(stream) for _ in range(count))]


def same(a, b):
    return all(
        np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True)
    )


def test_a_stream_with_repeats_resumes_and_agrees_among_threads_and_ranks(soft_store):
    whole = take(stream_of(soft_store), 40)
    stream = stream_of(soft_store, prefetch=2, workers=2)
    assert same(take(stream, 15), whole[:15])
    assert same(take(stream_of(soft_store, prefetch=0, state=stream.state_dict()), 25), whole[15:])
    for rank in (0, 1):
        for (ids_BS, _), (part_BS, _) in zip(
            whole, take(stream_of(soft_store, rank=rank, world=2), 40), strict=True
        ):
            assert np.array_equal(ids_BS[rank::2], part_BS)


def test_repeats_are_masked_a_tenth_as_often_in_a_run(soft_store):
    data, tokenizer = data_of(soft_store, TOKENIZERS.get("kmer6")), TOKENIZERS.get("kmer6")
    stream = data.stream(masker_of(tokenizer), 32)
    stream.reset()
    soft_V = np.array([token[2] in "AC" for token in tokenizer.vocabulary()])
    labels = np.concatenate([next(stream).labels_M for _ in range(30)])
    # Half of the tokens are soft-masked; a masked one in eleven should be.
    assert soft_V[labels].mean() == pytest.approx(1 / 11, abs=0.02)


def test_a_store_without_soft_masks_is_refused(soft_store):
    tokenizer = TOKENIZERS.get("kmer6")
    hard = soft_store.with_name("hard")
    with pytest.raises(CmgemsError, match=r"does not keep .* in masking.soft_mask: .* --soft-mask"):
        data_of(hard, tokenizer).stream(masker_of(tokenizer), 8)
    data_of(hard, tokenizer).stream(masker_of(tokenizer, soft_mask=1.0), 8)


def test_stores_with_other_soft_masks_are_not_the_same_input(soft_store, tmp_path):
    assert store_content(soft_store) != store_content(soft_store.with_name("hard"))
    text = soft_store.with_name("genome.fa").read_text()
    (tmp_path / "other.fa").write_text(text.replace("ac", "AC"))
    GenomeStore.build([tmp_path / "other.fa"], tmp_path / "store", soft_mask=True)
    assert store_content(tmp_path / "store") != store_content(soft_store)
