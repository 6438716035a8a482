"""A target rate is met on windows that were not measured, whatever the strategy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cmgems.config import Component
from cmgems.errors import CmgemsError
from cmgems.genome import Split, encode, read_fasta
from cmgems.masking import STRATEGIES, Annealed, Masker, MaskingConfig, RandomSpan, Ranks, TokenBatch
from cmgems.masking.calibration import Calibration
from cmgems.pmi import PMITable
from cmgems.pretraining import GenomeData, PretrainingData
from cmgems.registry import Registry
from cmgems.tokenization import KmerTokenizer
from tests.masking.common import random_ranks

POINT_THREE = 0.003


def windows(k, seed, count=400, length=510):
    """Windows of a sequence with tandem repeats, where neighbours' ranks go together."""
    rng = np.random.default_rng(seed)
    codes_BL = rng.integers(0, 4, (count, length)).astype(np.uint8)
    for row in codes_BL[::3]:
        start, unit = rng.integers(0, length - 100), rng.integers(0, 4, rng.integers(1, 7))
        row[start : start + 100] = np.resize(unit, 100)
    tokenizer = KmerTokenizer(k)
    lengths_B = np.full(count, length, np.int32)
    return tokenizer.encode_batch(codes_BL, lengths_B, tokenizer.token_count(length))


STRATEGY = {
    "random_span": STRATEGIES.get("random_span"),
    "genemask": STRATEGIES.get("genemask"),
    "global_pmi": STRATEGIES.get("global_pmi"),
    "random_span, wider": RandomSpan(8),
    "uniform": STRATEGIES.get("uniform"),
    "annealed, cold": Annealed(20.0),
    "annealed": Annealed(700.0),
    "annealed, hot": Annealed(9e4),
}


@pytest.mark.parametrize("k", [pytest.param(3, marks=pytest.mark.slow), 6])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "genemask")) for name in STRATEGY]
)
@pytest.mark.parametrize("target", [0.15, pytest.param(0.3, marks=pytest.mark.slow)])
def test_other_windows_are_masked_as_wanted(name, k, target):
    args = random_ranks(k, k), (target, target)
    rate = Calibration([windows(k, 0)], *args, seed=0).rate(name, STRATEGY[name], target)
    share = Calibration([windows(k, 1)], *args, seed=1).share(STRATEGY[name], rate)
    assert abs(share - target) < POINT_THREE


def test_it_is_deterministic():
    rates = [
        Calibration([windows(6, 0, 50)], random_ranks(6, 6), (0.2, 0.2), 3).rate(
            "annealed", Annealed(50.0), 0.2
        )
        for _ in range(2)
    ]
    assert rates[0] == rates[1]


def data_of(small_genome, **changes):
    config = GenomeData(
        store=small_genome.store, sampler=Component("tiled", {"max_bp": 400}), split=Split(block_bp=2000)
    )
    return PretrainingData(dataclasses.replace(config, **changes), KmerTokenizer(6), 512, seed=3)


@pytest.mark.parametrize(
    "curriculum",
    ["cm_step", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cm_gems", "annealed"))],
)
def test_a_run_masks_its_target_rate(small_genome, curriculum):
    config = MaskingConfig(Component(curriculum, {}), small_genome.table, target_rate=0.2)
    data = data_of(small_genome)
    shares, rates = [], []
    for _ in range(2):  # a run, and the same run resumed
        masker = Masker(config, KmerTokenizer(6), steps=400, seed=5)
        stream = data.stream(masker, 10)
        stream.reset()
        batches = [next(stream) for _ in range(400)]
        tokens = sum(int((batch.ids_BS > 3).sum()) for batch in batches)
        shares.append(sum(len(batch.positions_M) for batch in batches) / tokens)
        rates.append([masker.rate(*masker.strategy(step), step) for step in range(0, 400, 7)])
    assert shares[0] == shares[1]
    assert rates[0] == rates[1]
    assert abs(shares[0] - 0.2) < 2 * POINT_THREE  # one mask a window: chance alone moves it by 0.1 points
    assert (len(set(rates[0])) > 30) == (curriculum == "annealed")


def test_without_a_target_nothing_is_solved(small_genome):
    masker = Masker(MaskingConfig(table=small_genome.table), KmerTokenizer(6), steps=10, seed=0)
    data_of(small_genome).stream(masker, 1)
    assert masker.rate(*masker.strategy(0), 0) == 0.15


def test_wrong_targets_are_refused(small_genome):
    with pytest.raises(CmgemsError, match=r"`target_rate` must be between 0 and 1, but is 1\.0"):
        MaskingConfig(target_rate=1.0)
    with pytest.raises(CmgemsError, match="`target_rate` and `rate` are both set"):
        MaskingConfig(target_rate=0.2, rate=0.3)
    masker = Masker(MaskingConfig(table=small_genome.table, target_rate=0.2), KmerTokenizer(6), 10, 0)
    with pytest.raises(ValueError, match="calibrated"):
        masker.mask(windows(6, 0, 1), np.zeros(1, np.uint64), 0)


@pytest.mark.parametrize("target", [0.15, 0.9])
def test_a_strategy_that_does_not_follow_the_rate(target):
    registry: Registry = Registry("masking strategy")

    @registry.register("half")
    @dataclasses.dataclass(frozen=True)
    class Half:
        def select(self, batch: TokenBatch) -> np.ndarray:
            return batch.maskable_BS & (np.arange(batch.maskable_BS.shape[1]) % 2 == 0)

    calibration = Calibration([windows(6, 0, 20)], random_ranks(6, 6), (target, target), 0)
    with pytest.raises(
        CmgemsError, match=r"cannot be reached in masking strategy 'half': the nearest .* is 0.499"
    ):
        calibration.rate("half", registry.get("half"), target)


@pytest.mark.parametrize("target", [0.05, 0.1, 0.15, 0.3])
def test_the_nearest_share_on_little_sequence(target):
    strategy = STRATEGIES.get("global_pmi")
    calibration = Calibration([windows(6, 0, 1)[:, :12]], random_ranks(6, 6), (target, target), 0)
    shares = [calibration.share(strategy, rate) for rate in np.arange(0, 11, 0.01)]
    nearest = min(shares, key=lambda share: abs(share - target))
    with pytest.raises(CmgemsError, match=f"is {nearest:.3f}, with only 11 tokens to measure on; give more"):
        calibration.rate("global_pmi", strategy, target)


# Shares measured with code written from the papers, on human sequence, 510 tokens, the published table.
@pytest.mark.parametrize(
    ("name", "rate", "share"),
    [
        ("random_span", 0.15, 0.142),
        ("genemask", 0.15, 0.152),
        ("global_pmi", 0.15, 0.121),
        ("global_pmi", 0.3, 0.203),
    ],
)
def test_nominal_rates_mask_what_was_measured_before(shared_data, name, rate, share):
    tokenizer = KmerTokenizer(6)
    ranks = Ranks.of(PMITable.load(shared_data / "human_6mer_npmi.csv"), tokenizer)
    record = next(iter(read_fasta(shared_data / "genomes" / "human_chr17_1mb.fa.gz")))
    codes = encode(record.sequence)
    codes_BL = codes[: len(codes) // 515 * 515].reshape(-1, 515)
    codes_BL = codes_BL[(codes_BL < 4).all(1)][:600]
    ids_BS = tokenizer.encode_batch(codes_BL, np.full(len(codes_BL), 515, np.int32), 512)
    calibration = Calibration([ids_BS], ranks, (0.15, 0.15), seed=0)
    assert abs(calibration.share(STRATEGIES.get(name), rate) - share) < 0.008
