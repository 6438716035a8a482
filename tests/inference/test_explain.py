"""Which answer is explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.inference import Cutter, Explainer, PseudoLikelihood, log_likelihoods
from cmgems.models import MODELS, SavedModel, build_model
from cmgems.tokenization import TOKENIZERS, TokenMap


def ignore(_):
    pass


@pytest.fixture
def explainer(compute):
    """An explainer of a fresh model with any head."""

    def make(head, *labels, tokenizer="kmer3"):
        torch.manual_seed(0)
        tokens = TOKENIZERS.get(tokenizer) if isinstance(tokenizer, str) else tokenizer
        config = MODELS.build("logo_tiny", vocab_size=tokens.vocab_size, max_positions=60)
        model = build_model(config, head, len(labels)).eval()
        saved = SavedModel(
            model, "logo_tiny", config, head, "kmer3", tokens, list(labels), {}, folder=Path("somewhere")
        )
        return Explainer(saved, Cutter(TokenMap(tokens), 60), compute, 8)

    return make


@pytest.mark.parametrize("head", ["classification", "multi_label"])
def test_the_likeliest_answer_unless_another_is_asked_for(explainer, two_sequences, head):
    found = explainer(head, "a", "b", "c")
    values = np.array([[x.value for x in found.answers(two_sequences, label)] for label in "abc"])
    best = found.answers(two_sequences, None)
    assert [x.output for x in best] == values.argmax(0).tolist()
    assert [x.label for x in best] == ["abc"[i] for i in values.argmax(0)]
    assert [x.value for x in best] == pytest.approx(values.max(0))
    assert (values.sum(0) == pytest.approx(1)) == (head == "classification")
    assert found.commonest(two_sequences) in {x.label for x in best}
    assert best[0].text() == f"{best[0].label}: {best[0].value:.4g}"


def test_the_first_quantity(explainer, two_sequences):
    found = explainer("regression", "low", "high")
    found.saved.model.head.output.bias.data = torch.tensor([-5.0, 5.0])
    assert [x.label for x in found.answers(two_sequences, None)] == ["low", "low"]
    (importance_L, _) = found.importance(two_sequences, found.answers(two_sequences, "high"), ignore)
    assert np.isfinite(importance_L).all()
    assert "quantity" in found.meaning()


def test_a_masked_lm_is_asked_for_the_base_itself(explainer, two_sequences):
    found = explainer("masked_lm")
    found.check(None)
    answers = found.answers(two_sequences, None)
    assert [x.text() for x in answers] == ["", ""]
    scorer = PseudoLikelihood(found.saved.model, found.cutter, found.compute, 8)
    for sequence, importance_L in zip(
        two_sequences, found.importance(two_sequences, answers, ignore), strict=True
    ):
        expected = log_likelihoods(scorer.base_probabilities(sequence.codes, ignore), sequence.codes)
        assert importance_L == pytest.approx(expected, nan_ok=True)
    assert found.level() == pytest.approx(np.log(1 / 4))


def test_what_cannot_be_explained(explainer, pieces):
    with pytest.raises(CmgemsError, match="no importance in somewhere: it classifies every base"):
        explainer("token_classification", "a", "b").check(None)
    with pytest.raises(CmgemsError, match="no output 'x' in somewhere: a masked language model has none"):
        explainer("masked_lm").check("x")
    with pytest.raises(CmgemsError, match=r"no output 'promotor' in somewhere: .* did you mean 'promoter'"):
        explainer("classification", "promoter", "other").check("promotor")
    with pytest.raises(CmgemsError, match="no probabilities of single bases"):
        explainer("masked_lm", tokenizer=pieces).check(None)
    explainer("classification", "a", "b", tokenizer=pieces).check("b")
