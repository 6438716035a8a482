"""Which answer is explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.inference import Cutter, Engine, base_probabilities, log_likelihoods
from cmgems.inference.explain import answers, check_answer, commonest, importance, level, meaning
from cmgems.models import MODELS, build_model
from cmgems.tokenization import TOKENIZERS, TokenMap


@pytest.fixture
def engine(compute):
    """A fresh model with any head."""

    def make(head, *labels, tokenizer="kmer3"):
        torch.manual_seed(0)
        tokens = TOKENIZERS.get(tokenizer) if isinstance(tokenizer, str) else tokenizer
        config = MODELS.build("logo_tiny", vocab_size=tokens.vocab_size, max_positions=60)
        model = build_model(config, head, len(labels)).eval()
        return Engine(model, Cutter(TokenMap(tokens), 60), compute, 300, head, labels, "somewhere")

    return make


@pytest.mark.parametrize("head", ["classification", "multi_label"])
def test_the_likeliest_answer_unless_another_is_asked_for(engine, two_sequences, head):
    found = engine(head, "a", "b", "c")
    values = np.array([[x.value for x in answers(found, two_sequences, label)] for label in "abc"])
    best = answers(found, two_sequences)
    assert [x.output for x in best] == values.argmax(0).tolist()
    assert [x.label for x in best] == ["abc"[i] for i in values.argmax(0)]
    assert [x.value for x in best] == pytest.approx(values.max(0))
    assert (values.sum(0) == pytest.approx(1)) == (head == "classification")
    assert commonest(found, two_sequences) in {x.label for x in best}
    assert best[0].text() == f"{best[0].label}: {best[0].value:.4g}"


def test_the_first_quantity(engine, two_sequences):
    found = engine("regression", "low", "high")
    found.network.head.output.bias.data = torch.tensor([-5.0, 5.0])
    assert [x.label for x in answers(found, two_sequences)] == ["low", "low"]
    (importance_L, _) = importance(found, two_sequences, answers(found, two_sequences, "high"))
    assert np.isfinite(importance_L).all()
    assert "quantity" in meaning(found.head)


def test_a_masked_lm_is_asked_for_the_base_itself(engine, two_sequences):
    found = engine("masked_lm")
    check_answer(found, None)
    asked = answers(found, two_sequences)
    assert [x.text() for x in asked] == ["", ""]
    for sequence, importance_L in zip(two_sequences, importance(found, two_sequences, asked), strict=True):
        expected = log_likelihoods(next(base_probabilities(found, [sequence]))[1], sequence.codes)
        assert importance_L == pytest.approx(expected, nan_ok=True)
    assert level(found.head) == pytest.approx(np.log(1 / 4))


def test_what_cannot_be_explained(engine, pieces):
    with pytest.raises(CmgemsError, match="no importance in somewhere: it classifies every base"):
        check_answer(engine("token_classification", "a", "b"), None)
    with pytest.raises(CmgemsError, match="no output 'x' in somewhere: a masked language model has none"):
        check_answer(engine("masked_lm"), "x")
    with pytest.raises(CmgemsError, match=r"no output 'promotor' in somewhere: .* did you mean 'promoter'"):
        check_answer(engine("classification", "promoter", "other"), "promotor")
    with pytest.raises(CmgemsError, match="no probabilities of single bases"):
        check_answer(engine("masked_lm", tokenizer=pieces), None)
    check_answer(engine("classification", "a", "b", tokenizer=pieces), "b")
