"""What the phases of a run mask, measured again from its folder."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cmgems.errors import DataError
from cmgems.pmi import PMITable
from cmgems.pmi.definitions import kmer
from cmgems.report.runs import phase_masks
from cmgems.report.runs.logged import find_runs
from cmgems.report.runs.phase_masks import load_table, sample_masks, token_npmi
from cmgems.report.runs.sections import load_sections
from cmgems.tokenization import TOKENIZERS, BpeTokenizer


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch):
    monkeypatch.setattr(phase_masks, "SAMPLE_TOKENS", 20_000)


@pytest.fixture(scope="module")
def logged(pretrained):
    return find_runs([pretrained]).runs[0]


def test_phases_mask_as_the_run_did(logged, small_genome):
    sections = load_sections(logged)
    assert sections.data.store == small_genome.store
    every, easy, hard = sample_masks(logged, sections, load_table(sections))
    assert (every.label, easy.label, hard.label) == ("all tokens", "genemask", "global_pmi")
    assert every.share == 1
    assert len(every.ranks_M) >= 20_000
    for mask in (easy, hard):
        shares = [r["masked_share"] for r in logged.records if r.get("strategy") == mask.label]
        assert mask.share == pytest.approx(np.mean(shares), abs=0.05)
    assert hard.ranks_M.mean() < min(easy.ranks_M.mean(), every.ranks_M.mean())
    assert hard.npmi_M.mean() > every.npmi_M.mean()


def test_single_bases_are_measured_by_the_k_mers_that_start_there(logged):
    config = {**logged.config, "model": "modernbert_tiny", "tokenizer": "base"}
    bases = dataclasses.replace(logged, config=config)
    sections = load_sections(bases)
    table = load_table(sections)
    every, easy, hard = sample_masks(bases, sections, table)
    npmi = np.where(np.isfinite(table.npmi), table.npmi, np.nan)
    assert np.nanmean(np.repeat(npmi, table.count)) == pytest.approx(every.npmi_M.mean(), abs=0.002)
    assert hard.ranks_M.mean() < min(easy.ranks_M.mean(), every.ranks_M.mean())


def test_a_strategy_that_changes_is_measured_at_both_ends(logged):
    annealed = dataclasses.replace(
        logged,
        config={**logged.config, "masking": {**logged.config["masking"], "curriculum": "annealed"}},
        records=[{"step": step, "strategy": "annealed"} for step in (1, 10, 20)],
    )
    sections = load_sections(annealed)
    _, hot, cold = sample_masks(annealed, sections, load_table(sections))
    assert (hot.label, cold.label) == ("annealed at step 1", "annealed at step 20")
    assert cold.ranks_M.mean() < hot.ranks_M.mean()


def test_a_target_rate_is_met(logged):
    masking = {**logged.config["masking"], "target_rate": 0.25}
    sections = load_sections(dataclasses.replace(logged, config={**logged.config, "masking": masking}))
    for mask in sample_masks(logged, sections, load_table(sections))[1:]:
        assert mask.share == pytest.approx(0.25, abs=0.02)


def test_a_strategy_whose_rate_changes_is_measured_at_both_ends(logged):
    masking = {**logged.config["masking"], "curriculum": "random_span", "rate_schedule": "linear"}
    scheduled = dataclasses.replace(
        logged,
        config={**logged.config, "masking": masking},
        records=[{"step": step, "strategy": "random_span"} for step in (1, 10, 20)],
    )
    sections = load_sections(scheduled)
    _, first, last = sample_masks(scheduled, sections, load_table(sections))
    assert (first.label, last.label) == ("random_span at step 1", "random_span at step 20")
    assert first.share > 1.7 * last.share


def test_masking_by_loss_is_measured_with_the_losses_that_were_logged(logged):
    losses = {f"loss_tenth_{tenth}": float(tenth == 1) for tenth in range(1, 11)}
    weighted = dataclasses.replace(
        logged,
        config={**logged.config, "masking": {**logged.config["masking"], "curriculum": "loss_weighted"}},
        records=[
            {"step": 1, "strategy": "loss_weighted"},
            {"step": 5, **losses},
            {"step": 6, "strategy": "loss_weighted"},
        ],
    )
    sections = load_sections(weighted)
    _, before, after = sample_masks(weighted, sections, load_table(sections))
    assert (before.label, after.label) == ("loss_weighted at step 1", "loss_weighted at step 6")
    assert after.ranks_M.mean() < before.ranks_M.mean() - 200


def test_npmi_of_tokens(small_genome, small_bpe):
    table = PMITable.load(small_genome.table)
    tokenizer = TOKENIZERS.build("kmer6")
    npmi_V = token_npmi(table, tokenizer)
    vocabulary = tokenizer.vocabulary()
    assert npmi_V[vocabulary.index(kmer(77, 6))] == table.npmi[77]
    assert np.isnan(npmi_V[: tokenizer.special_count]).all()

    bpe = BpeTokenizer(small_bpe)
    npmi_V = token_npmi(table, bpe)
    assert len(npmi_V) == bpe.vocab_size
    pairs = [i for i, token in enumerate(bpe.vocabulary()) if len(token) == 6 and set(token) <= set("ACGT")]
    assert np.isfinite(npmi_V[pairs]).all()
    assert np.isnan(npmi_V[bpe.vocabulary().index("A")])


def test_settings_of_a_copied_recipe_are_passed_over(logged):
    more = dataclasses.replace(logged, config={**logged.config, "my_own": 1})
    assert load_sections(more) == load_sections(logged)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"data": {"stor": "x"}}, "unknown key 'stor'"),
        ({"model": "nobody's"}, "unknown model"),
    ],
)
def test_a_config_that_does_not_fit(logged, change, why):
    with pytest.raises(DataError, match=why):
        load_sections(dataclasses.replace(logged, config={**logged.config, **change}))


def test_no_config(logged):
    with pytest.raises(DataError, match="no config of a pretraining run"):
        load_sections(dataclasses.replace(logged, config={}))
