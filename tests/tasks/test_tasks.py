from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn
from torch.nn.functional import cross_entropy

from cmgems.errors import CmgemsError
from cmgems.models import MODELS, build_model
from cmgems.tasks import TASKS

TASK = TASKS.get("classification")


def test_scores_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 1])
    right = np.array([0.9, 0.8, 0.3, 0.2, 0.4, 0.1])  # probability of class 0
    scores = TASK.metrics(labels, np.stack([right, 1 - right], 1))
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert scores["mcc"] == pytest.approx((2 * 3 - 1 * 0) / math.sqrt(2 * 3 * 3 * 4))
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 6 / 7) / 2)
    assert scores["auc"] == pytest.approx(8 / 9)


def test_one_class_predicted_is_mcc_zero():
    scores = TASK.metrics(np.array([0, 1, 0, 1]), np.array([[0.9, 0.1]] * 4))
    assert scores["mcc"] == 0
    assert scores["auc"] == 0.5


def test_three_classes():
    probabilities = np.float32([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    scores = TASK.metrics(np.array([0, 1, 2]), probabilities)
    assert scores == {"accuracy": 1.0, "macro_f1": 1.0, "mcc": 1.0, "auc": 1.0}


def test_auc_of_a_missing_class_is_not_invented():
    assert math.isnan(TASK.metrics(np.array([1, 1]), np.array([[0.2, 0.8]] * 2))["auc"])


def test_losses_by_hand():
    held, p = torch.tensor([[1.0, 0], [0, 0]], dtype=torch.float64), torch.tensor([[0.9, 0.2], [0.5, 0.1]])
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.5) + math.log(0.9)) / 4
    assert TASKS.get("multi_label").loss(torch.logit(p), held).item() == pytest.approx(expected)

    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    expected = log_loss(labels, logits.double().softmax(-1))
    assert TASK.loss(logits, labels).item() == pytest.approx(expected)

    task = TASKS.get("regression").fit(np.array([[1.0, 0], [5, 30]]), "ab")  # means 3 and 15, sd 2 and 15
    targets = torch.tensor([[1.0, 30], [3, 15]], dtype=torch.float64)  # -1, 1; 0, 0
    loss = task.loss(torch.tensor([[-1.0, 1], [0.5, 2]]), targets)
    assert loss.item() == pytest.approx((0.5**2 + 2**2) / 4)


def test_the_token_loss_counts_labelled_tokens_only():
    logits_BSC = torch.randn(2, 4, 3, requires_grad=True)
    labels_BS = torch.tensor([[-100, 2, 0, -100], [-100, 1, -100, -100]])
    loss = TASKS.get("token_classification").loss(logits_BSC, labels_BS)
    three = torch.stack([logits_BSC[0, 1], logits_BSC[0, 2], logits_BSC[1, 1]])
    assert loss.item() == pytest.approx(cross_entropy(three, torch.tensor([2, 0, 1])).item())
    loss.backward()
    assert (logits_BSC.grad.abs().sum(-1) > 0).tolist() == [
        [False, True, True, False],
        [False, True, False, False],
    ]


@pytest.mark.parametrize("name", ["classification", "multi_label", "token_classification", "regression"])
def test_bf16_logits_give_a_float32_loss(name):
    task = TASKS.get(name).fit(np.array([0, 1] if "class" in name else [[0.0], [1.0]]), "ab")
    shape = (2, 3, 1) if name == "token_classification" else (2, 1)
    labels = torch.zeros(shape[:-1]).long() if "class" in name else torch.zeros(shape, dtype=torch.float64)
    assert task.loss(torch.randn(shape, dtype=torch.bfloat16), labels).dtype == torch.float32


def test_token_scores_leave_out_what_has_no_label():
    task = TASKS.get("token_classification")
    scores = task.metrics(np.array([-100, 0, 1, -100, 1]), np.eye(2)[[1, 0, 1, 0, 0]])
    assert set(scores) == {"accuracy", "macro_f1", "mcc"}
    assert scores["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", TASKS.names())
def test_the_default_metric_is_one_of_the_scores(name):
    task = TASKS.get(name)
    targets = np.array([0, 1]) if "class" in name else np.array([[0.0], [1]])
    columns = 2 if "class" in name else 1
    assert task.metric in task.metrics(targets, np.eye(2)[:, -columns:])


def test_the_better_epoch_has_the_greater_merit():
    def value(metric, value):
        return TASKS.build("regression", metric=metric).selection_value({"pearson": -9, metric: value})

    assert value("pearson", 0.8) > value("pearson", 0.7) > value("pearson", -0.9)
    assert value("mse", 0.1) > value("mse", 0.2) > value("mse", math.inf)
    assert value("mse", math.nan) == value("r2", math.nan) == -math.inf
    assert TASKS.build("classification", metric="auc").selection_value({"auc": math.nan}) == -math.inf


TARGETS = np.array([[1000.0, -2e-5], [1010, 3e-5], [990, 1e-5]])
FAMILIES = [name for name in MODELS.names() if name.endswith("_tiny")]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_finished_model_answers_in_the_units_of_the_labels(name):
    torch.manual_seed(0)
    config = MODELS.get(name)
    model = build_model(config, "regression", 2).eval()
    task = TASKS.get("regression").fit(TARGETS, "ab")
    ids_BS = torch.randint(5, config.vocab_size, (4, 12))
    with torch.no_grad():
        expected = task.predictions(model(ids_BS).numpy())
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        task.finish_training(model)
        found = model(ids_BS).numpy()
    # To float32's rounding, of the mean or of the spread.
    assert np.abs(found - expected).max(0) == pytest.approx(0, abs=1e-4)
    assert np.abs(found - expected)[:, 1].max() < 1e-10
    changed = [key for key, tensor in model.state_dict().items() if not torch.equal(before[key], tensor)]
    assert len(changed) == 2  # weight and bias of one layer


@pytest.mark.parametrize("model", [nn.Tanh(), nn.Linear(3, 5), nn.Linear(3, 2, bias=False)])
def test_a_model_that_does_not_end_in_a_linear_layer_is_refused(model):
    with pytest.raises(CmgemsError, match="no linear layer at the end"):
        TASKS.get("regression").fit(TARGETS, "ab").finish_training(model)


@pytest.mark.parametrize("name", ["classification", "multi_label", "token_classification"])
def test_other_models_are_saved_as_they_are(name):
    targets = np.array([[0.0, 1.0]]) if name == "multi_label" else np.array([0, 1])
    task, model = TASKS.get(name).fit(targets, "ab"), nn.Linear(3, 2)
    weight = model.weight.detach().clone()
    task.finish_training(model)
    assert torch.equal(model.weight, weight)
