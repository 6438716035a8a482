from __future__ import annotations

import math

import pytest

from cmgems.runs.folder import show_summary
from cmgems.runs.health import LABELS, NEIGHBOURS, UNIGRAM, Guesses, Health, markov, mean_health

LOSSES = {UNIGRAM: 7.5, **{markov(n): 7.6 - 0.1 * n for n in range(1, 6)}, NEIGHBOURS: 1.0}
ALL = {key: {"loss": loss, "accuracy": 0.1} for key, loss in LOSSES.items()}


def without(*keys):
    return {key: None if key in keys else values for key, values in ALL.items()}


CHAINS = [markov(n) for n in range(1, 6)]


BLIND, CHAIN = "the frequencies of the tokens", "the Markov chain of order"
READ = "reading off the overlapping tokens"


@pytest.mark.parametrize(
    ("loss", "baselines", "passed", "ahead"),
    [
        (0.9, ALL, f"{BLIND}, Markov chains of order 1 to 5 and {READ}", ""),
        (7.35, ALL, f"{BLIND} and Markov chains of order 1 and 2", f"Markov chains of order 3 to 5 and {READ}"),
        (7.45, {**ALL, UNIGRAM: {"loss": 7.4}}, f"{CHAIN} 1", f"{BLIND}, Markov chains of order 2 to 5 and {READ}"),
        (7.05, {**ALL, markov(2): {"loss": 7.0}},
         f"{BLIND} and Markov chains of order 1, 3, 4 and 5", f"{CHAIN} 2 and {READ}"),
        (7.0, without(NEIGHBOURS), f"{BLIND} and Markov chains of order 1 to 5", ""),
        (7.0, without(NEIGHBOURS, *CHAINS), BLIND, ""),
    ],
)  # fmt: skip
def test_words(loss, baselines, passed, ahead):
    words = f"Better than {passed}; not yet as good as {ahead}." if ahead else f"Better than {passed}."
    assert Health.of(loss, 0.2, baselines).in_words() == words


def test_a_model_that_passes_nothing():
    words = Health.of(8.3, 0.0, ALL).in_words()
    assert words.startswith(f"Not yet as good as {BLIND}, Markov chains")
    assert words.endswith(f"{READ}: under this mask it makes no use of the context.")


@pytest.mark.parametrize(
    ("loss", "baselines"),
    [
        (None, ALL), ("much", ALL), (math.nan, ALL), (7.0, None), (7.0, {}), (7.0, 3), (7.0, {"mine": {"loss": 1}}),
        (7.0, {UNIGRAM: 3, NEIGHBOURS: None}), (7.0, {UNIGRAM: {"accuracy": 1}}), (7.0, {UNIGRAM: {"loss": "low"}}),
    ],
)  # fmt: skip
def test_what_was_not_recorded_says_nothing(loss, baselines):
    assert Health.of(loss, 0.1, baselines) is None


def test_rows():
    rows = Health.of(7.0, None, without(NEIGHBOURS, *CHAINS)).rows
    assert rows == [
        (LABELS[UNIGRAM], 7.5, 0.1, ""),
        ("Markov chains of order 1 to 5", None, None, "not applicable: tokens are no k-mers"),
        ("reading off the overlapping tokens", None, None, "not applicable: tokens share no bases"),
        ("this model", 7.0, None, "accuracy not recorded"),
    ]
    assert Health.of(7.0, 0.25, ALL).rows[-1] == ("this model", 7.0, 0.25, "")


def test_means():
    runs = [Health.of(7.0, 0.2, ALL), Health.of(6.0, 0.4, {UNIGRAM: {"loss": 7.3, "accuracy": 0.3}})]
    mean = mean_health(runs)
    assert mean.model == Guesses(6.5, pytest.approx(0.3))
    assert mean.baselines == {UNIGRAM: Guesses(7.4, 0.2)}
    assert mean_health([]) is None


def test_the_table_at_the_end_of_a_run(capsys):
    show_summary("pretrain: out", {"validation_loss": 7.05, "validation_accuracy": 0.125, "baselines": ALL})
    text = capsys.readouterr().out
    assert "baselines" not in text
    assert "this model" in text
    assert "12.5" in text
    assert "7.0500" in text
    assert text.endswith(f"not yet as good as {READ}.\n")
    show_summary("finetune: out", {"test_mcc": 0.5})
    assert "this model" not in capsys.readouterr().out
