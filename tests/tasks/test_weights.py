"""Class weights and label smoothing: by hand, and exact however a batch is shared out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from cmgems.errors import CmgemsError
from cmgems.tasks import TASKS
from cmgems.tokenization import IGNORE

CLASSES = ("classification", "token_classification")


def test_cross_entropy_by_hand():
    """Each label counts by the weight of its class, and a part of it is spread over all classes."""
    p, labels = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]]), torch.tensor([0, 1, 1])
    weighted = TASKS.build("classification", class_weights=(1.0, 3.0)).fit(labels.numpy(), "ab")
    expected = -(math.log(0.9) + 3 * math.log(0.7) + 3 * math.log(0.4)) / 7
    assert weighted.loss(p.log(), labels).item() == pytest.approx(expected)
    assert weighted.loss_weight(labels.numpy()) == 7
    smoothed = TASKS.build("classification", label_smoothing=0.2)
    terms = [0.9 * math.log(p[n, c]) + 0.1 * math.log(p[n, 1 - c]) for n, c in enumerate(labels.tolist())]
    assert smoothed.loss(p.log(), labels).item() == pytest.approx(-sum(terms) / 3)


def test_binary_cross_entropy_by_hand():
    p, held = torch.tensor([[0.9, 0.2], [0.5, 0.1]]), torch.tensor([[1.0, 0], [0, 1]], dtype=torch.float64)
    weighted = TASKS.build("multi_label", positive_weights=(2.0, 5.0)).fit(held.numpy(), "ab")
    expected = -(2 * math.log(0.9) + math.log(0.8) + math.log(0.5) + 5 * math.log(0.1)) / 4
    assert weighted.loss(torch.logit(p), held).item() == pytest.approx(expected)
    smoothed = TASKS.build("multi_label", label_smoothing=0.2)
    y = held * 0.8 + 0.1
    assert smoothed.loss(torch.logit(p), held).item() == pytest.approx(
        -(y * p.log() + (1 - y) * (1 - p).log()).mean().item()
    )


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_balanced_classes_are_those_of_scikit_learn(targets):
    targets_N = np.array(targets)
    for name in CLASSES:
        task = TASKS.build(name, class_weights="balanced").fit(np.append(targets_N, IGNORE)[:-1], "abcd")
        there = np.unique(targets_N)
        expected = compute_class_weight("balanced", classes=there, y=targets_N)
        assert np.take(task.class_weights, there) == pytest.approx(expected)
        assert {task.class_weights[n] for n in range(4) if n not in there} <= {1}
        assert task.loss_weight(targets_N) == pytest.approx(len(targets_N))


def test_balanced_labels_weigh_as_much_where_they_hold_as_where_not():
    targets_NC = np.array([[1.0, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1]])
    task = TASKS.build("multi_label", positive_weights="balanced").fit(targets_NC, "abcd")
    assert task.positive_weights == (3, 1, 4, 0.25)  # none and all count as one


OPTIONS = {
    "classification": [
        {},
        {"class_weights": (0.5, 2.0, 7.0)},
        {"class_weights": "balanced", "label_smoothing": 0.1},
    ],
    "token_classification": [{"class_weights": (0.5, 2.0, 7.0)}, {"label_smoothing": 0.3}],
    "multi_label": [
        {"positive_weights": (0.5, 2.0, 7.0)},
        {"positive_weights": "balanced", "label_smoothing": 0.1},
    ],
}


@pytest.mark.parametrize(("name", "options"), [(name, o) for name, some in OPTIONS.items() for o in some])
@given(data=st.data())
def test_the_parts_of_a_batch_make_its_loss(name, options, data):
    """As micro-batches and ranks share a step: each part counts for its weight in the whole."""
    rows = data.draw(st.integers(1, 12))
    borders = sorted(data.draw(st.lists(st.integers(0, rows), max_size=3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    logits = torch.from_numpy(rng.normal(size=(rows, 5, 3) if name == "token_classification" else (rows, 3)))
    if name == "multi_label":
        labels = rng.integers(0, 2, (rows, 3)).astype(np.float64)
    else:
        labels = rng.integers(0, 3, logits.shape[:-1])
    if name == "token_classification":
        labels[rng.random(labels.shape) < 0.4] = IGNORE
    task = TASKS.build(name, **options).fit(labels if name == "multi_label" else labels.ravel(), "abc")
    whole = task.loss_weight(labels)
    found = 0.0
    for part in np.split(np.arange(rows), borders):
        if weight := task.loss_weight(labels[part]):
            loss = task.loss(logits[part], torch.from_numpy(labels[part]))
            found += loss.item() * weight / whole
    expected = task.loss(logits, torch.from_numpy(labels)).item() if whole else 0.0
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("classification", {"class_weights": (1.0, 0.0)}, "`class_weights` must be above 0, but 0.0"),
        ("multi_label", {"positive_weights": (1.0, -2.0)}, "`positive_weights` must be above 0, but -2.0"),
        ("token_classification", {"label_smoothing": 1.0}, "`label_smoothing` must be in .0, 1., but is 1.0"),
        ("multi_label", {"label_smoothing": -0.1}, "`label_smoothing` must be in"),
    ],
)
def test_values_out_of_range_are_refused(name, options, message):
    with pytest.raises(CmgemsError, match=message):
        TASKS.build(name, **options)


@pytest.mark.parametrize(
    ("name", "field"), [("classification", "class_weights"), ("multi_label", "positive_weights")]
)
def test_there_is_a_weight_for_each_class(name, field):
    task = TASKS.build(name, **{field: (1.0, 2.0, 3.0)})
    targets = np.eye(2) if name == "multi_label" else np.arange(2)
    with pytest.raises(
        CmgemsError, match=rf"3 weights for 2 classes in task\.{field}: train has exon, intron"
    ):
        task.fit(targets, ("exon", "intron"))
