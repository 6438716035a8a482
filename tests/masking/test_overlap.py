"""Tokens that share no base: fixed-length ones side by side, and ones of variable length."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from cmgems.config import Component
from cmgems.masking import STRATEGIES, Masker, MaskingConfig, Ranks, TokenBatch
from cmgems.pmi import PMITable
from cmgems.pmi.definitions import kmer
from cmgems.tokenization import TOKENIZERS, KmerTokenizer, Tokenizer
from tests.masking.common import random_ranks

NAMES = ["uniform", "random_span", "genemask", "global_pmi", "annealed"]


@dataclass(frozen=True)
class SideBySide(KmerTokenizer):
    """6-mers side by side."""

    @property
    def stride(self) -> int:  # type: ignore[override]
        return self.k


@dataclass(frozen=True)
class Variable(KmerTokenizer):
    """Pieces of any length, as byte-pair encoding makes them."""

    @property
    def stride(self) -> int:  # type: ignore[override]
        return 0

    @property
    def pieces(self) -> int:
        return 4096

    @property
    def vocab_size(self) -> int:
        return self.special_count + self.pieces

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", 0)

    def vocabulary(self) -> list[str]:
        pieces = ("".join(piece) for k in range(1, 7) for piece in itertools.product("ATCG", repeat=k))
        return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *itertools.islice(pieces, self.pieces)]


def batch_of(tokenizer: Tokenizer, rate: float = 0.15) -> TokenBatch:
    rng = np.random.default_rng(0)
    ids_BS = rng.integers(5, 4101, (200, 100)).astype(np.int32)
    ids_BS[:, 0] = 2
    samples_B = np.arange(200, dtype=np.uint64)
    return TokenBatch(ids_BS, samples_B, random_ranks(6, 0, tokenizer), rate=rate, seed=1)


def test_only_kmers_at_stride_1_overlap():
    assert batch_of(KmerTokenizer(6)).overlap
    assert not batch_of(SideBySide(6)).overlap
    assert not batch_of(Variable()).overlap


@pytest.mark.parametrize("tokenizer", [SideBySide(6), Variable()], ids=["side by side", "variable"])
def test_a_span_is_the_token_itself(tokenizer):
    batch = batch_of(tokenizer)
    assert batch.span == batch.wide_span == (0, 0)
    masked = [STRATEGIES.get(name).select(batch) for name in ("uniform", "random_span")]
    assert np.array_equal(*masked)
    assert abs(masked[0][:, 1:].mean() - 0.15) < 0.01


def test_ranks_of_6mers_carry_over_and_single_bases_rank_last(small_genome):
    table, overlapping = PMITable.load(small_genome.table), KmerTokenizer(6)
    expected = dict(zip(overlapping.vocabulary(), table.token_ranks(overlapping).tolist(), strict=True))
    for tokenizer in (TOKENIZERS.get("nt_v1"), TOKENIZERS.get("nt_v2")):
        assert not batch_of(tokenizer).overlap
        ranks = dict(zip(tokenizer.vocabulary(), table.token_ranks(tokenizer).tolist(), strict=True))
        assert len(ranks.keys() & expected.keys()) == 4096
        assert all(ranks[token] == expected[token] for token in ranks.keys() & expected.keys())
        assert {ranks[token] for token in ranks.keys() - expected.keys()} == {4097}


@pytest.mark.parametrize("tokenizer", [SideBySide(6), Variable()], ids=["side by side", "variable"])
def test_ranks_order_tokens_that_share_no_base(tokenizer):
    batch = batch_of(tokenizer)
    mean_rank = {name: batch.ranks_BS[STRATEGIES.get(name).select(batch)].mean() for name in NAMES}
    assert mean_rank["global_pmi"] < 500 < mean_rank["annealed"] < 1900
    # GeneMask's best neighbour of a token is the token itself.
    assert np.array_equal(STRATEGIES.get("genemask").select(batch), STRATEGIES.get("uniform").select(batch))
    # The best tokens alone, no neighbours.
    masked_BS = STRATEGIES.get("global_pmi").select(batch)
    for mask_S, ranks_S in zip(masked_BS, batch.ranks_BS, strict=True):
        assert mask_S.sum() == 0 or ranks_S[mask_S].max() <= np.sort(ranks_S)[mask_S.sum() - 1]


def test_pieces_are_ranked_by_their_own_npmi(small_genome):
    config = MaskingConfig(Component("fixed", {"masking": "global_pmi"}), small_genome.table)
    ranks_V = Masker(config, Variable(), steps=10, seed=0).ranks.of_words
    assert ranks_V.dtype == np.int32
    assert sorted(ranks_V) == list(range(1, 4102))
    # Specials and single bases have no parts, so no score.
    assert ranks_V[:9].min() > 4092
    # 6-mers are in the order of the table.
    rank_of = dict(zip(Variable().vocabulary(), ranks_V.tolist(), strict=True))
    table = PMITable.load(small_genome.table)
    sixes = [kmer(number, 6) for number in table.order() if kmer(number, 6) in rank_of]
    ours = [rank_of[six] for six in sixes]
    assert np.corrcoef(ours, np.arange(len(ours)))[0, 1] > 0.99


def test_a_masker_of_pieces_needs_no_table(small_genome):
    config = MaskingConfig(Component("fixed", {"masking": "random_span"}))
    masker = Masker(config, Variable(), steps=10, seed=0)
    batch = batch_of(Variable())
    masked = masker.mask(batch.ids_BS, batch.samples_B, 0)
    assert abs(len(masked.positions_M) / batch.maskable_BS.sum() - 0.15) < 0.01
    # Nothing but the spans differs from 6-mers side by side.
    table = PMITable.load(small_genome.table)
    other = replace(batch_of(SideBySide(6)), ranks=Ranks.of(None, SideBySide(6)))
    assert np.array_equal(
        STRATEGIES.get("random_span").select(other), STRATEGIES.get("random_span").select(batch)
    )
    assert table.token_ranks(SideBySide(6)).max() == 4097
