from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.masking import MaskedBatch, micro_batches
from cmgems.models import MODELS
from cmgems.training import (
    ComputeConfig,
    OptimConfig,
    build_optimizer,
    learning_rate,
    start_compute,
    train_step,
    unigram_entropy,
    validate,
)
from cmgems.training.step import MaskedLMLoss, loss_sum

COMPUTE = start_compute(ComputeConfig(device="cpu", precision="fp32"), seed=0)
CONFIG = OptimConfig(lr=1e-3, warmup=0)


def model_of():
    torch.manual_seed(0)
    return MODELS.get("logo_tiny").masked_lm()


def batch_of(rows, seed=0, masked=None, columns=24):
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, 4101, (rows, columns)).astype(np.int32)
    attention = np.ones((rows, columns), bool)
    attention[:, -3:] = False
    count = masked if masked is not None else rows * 3
    positions = np.sort(rng.choice(np.flatnonzero(attention), count, replace=False))
    return MaskedBatch(ids, attention, positions, rng.integers(5, 4101, count), "random_span")


def halves(batch):
    rows, columns = batch.ids_BS.shape
    parts = []
    for half in (slice(0, rows // 2), slice(rows // 2, rows)):
        chosen = (batch.positions_M >= half.start * columns) & (batch.positions_M < half.stop * columns)
        positions = batch.positions_M[chosen] - half.start * columns
        parts.append(
            MaskedBatch(batch.ids_BS[half], batch.attention_BS[half], positions, batch.labels_M[chosen], "")
        )
    return parts


def step(model, batches):
    optimizer = build_optimizer(model, CONFIG)
    return train_step(model, MaskedLMLoss(model), batches, optimizer, CONFIG, 1e-3, COMPUTE, World()).result()


def test_loss_is_the_mean_over_masked_tokens():
    model, batch = model_of(), batch_of(4)
    with torch.no_grad():
        logits = model(torch.from_numpy(batch.ids_BS).long(), torch.from_numpy(batch.attention_BS))
        labels = torch.full((4 * 24,), -100)
        labels[batch.positions_M] = torch.from_numpy(batch.labels_M)
        expected = F.cross_entropy(logits.flatten(0, 1), labels)
    result = step(model, [batch])
    assert result.loss == pytest.approx(expected.item(), rel=1e-6)
    assert (result.masked, result.tokens) == (12, 4 * 21)


def test_accumulation_equals_one_batch_even_when_masks_are_uneven():
    one, two = model_of(), model_of()
    batch = batch_of(8, masked=31)
    parts = halves(batch)
    assert len(parts[0].labels_M) != len(parts[1].labels_M)
    whole, split = step(one, [batch]), step(two, parts)
    assert split.loss == pytest.approx(whole.loss, rel=1e-6)
    assert split.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-5)


@pytest.mark.parametrize("static", [False, True])
def test_a_part_without_rows_changes_nothing(static):
    """Of ranks that share rows unevenly, one at a time, some have none in the last part."""
    batch = batch_of(3)
    parts = micro_batches(batch, 4, 24, 8)
    assert [len(part.ids_BS) for part in parts] == [1, 1, 1, 0]
    one, two = model_of().eval(), model_of().eval()
    results = []
    for model, cut in ((one, parts[:3]), (two, parts)):
        compute, optimizer = replace(COMPUTE, compiled=static), build_optimizer(model, CONFIG)
        loss = MaskedLMLoss(model)
        results.append(train_step(model, loss, cut, optimizer, CONFIG, 1e-3, compute, World()).result())
    assert results[0] == results[1]
    assert results[1].tokens == 3 * 21
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_batch_without_masked_tokens_is_no_trouble():
    result = step(model_of(), [batch_of(2, masked=0)])
    assert (result.loss, result.masked) == (0.0, 0)


def states(model):
    return copy.deepcopy(model.state_dict())


def test_a_loss_that_is_not_finite_leaves_the_weights():
    model = model_of()
    with torch.no_grad():
        model.encoder.word.weight[5:] = float("nan")
    before = states(model)
    result = step(model, [batch_of(2)])
    assert not math.isfinite(result.loss)
    assert math.isnan(result.gradient_norm)
    after = model.state_dict()
    assert all(torch.equal(before[k], after[k]) or before[k].isnan().any() for k in before)
    assert all(p.grad is None for p in model.parameters())


def test_a_gradient_that_is_not_finite_leaves_the_weights():
    model = model_of()
    model.head.bias.register_hook(lambda gradient: gradient * float("inf"))
    before = states(model)
    result = step(model, [batch_of(2)])
    assert math.isfinite(result.loss)
    assert not math.isfinite(result.gradient_norm)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


class Reads(TorchDispatchMode):
    """Counts how often a number of a tensor is asked for, for which a GPU would have to be done with its work."""

    count = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        self.count += operation is torch.ops.aten._local_scalar_dense.default
        return operation(*arguments, **(options or {}))


@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_waits_for_nothing_on_the_device(parts):
    model, batch = model_of(), batch_of(4)
    optimizer, loss = build_optimizer(model, CONFIG), MaskedLMLoss(model)
    with Reads() as reads:
        for _ in range(3):
            batches = [batch] if parts == 1 else halves(batch)
            started = train_step(model, loss, batches, optimizer, CONFIG, 1e-3, COMPUTE, World())
    assert reads.count == 0
    assert math.isfinite(started.result().loss)


def test_an_optimizer_of_ones_own_leaves_the_weights_too():
    model = model_of()
    model.head.bias.register_hook(lambda gradient: gradient * float("inf"))
    before = states(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    train_step(model, MaskedLMLoss(model), [batch_of(2)], optimizer, CONFIG, 1e-3, COMPUTE, World())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_training_learns():
    model, batch = model_of(), batch_of(4)
    optimizer = build_optimizer(model, CONFIG)
    loss = MaskedLMLoss(model)
    losses = [
        train_step(model, loss, [batch], optimizer, CONFIG, 1e-2, COMPUTE, World()).result().loss
        for _ in range(30)
    ]
    assert losses[-1] < losses[0] - 2


def test_validation_averages_over_tokens_not_batches():
    model = model_of()
    batches = [batch_of(4, seed=1, masked=3), batch_of(4, seed=2, masked=40)]
    loss = MaskedLMLoss(model).eval()
    sums = [loss_sum(loss, b, COMPUTE, training=False).item() for b in batches]
    assert validate(model, batches, COMPUTE, World()).loss == pytest.approx(sum(sums) / 43, rel=1e-6)


def test_validation_counts_the_first_guesses_that_are_right():
    model = model_of().eval()
    batches = [batch_of(4, seed=1, masked=3), batch_of(4, seed=2, masked=40)]
    right = 0
    for number, batch in enumerate(batches):
        with torch.no_grad():
            logits = model(torch.from_numpy(batch.ids_BS).long(), torch.from_numpy(batch.attention_BS))
        guesses_M = logits.flatten(0, 1)[batch.positions_M].argmax(-1).numpy()
        batch.labels_M[number::3] = guesses_M[number::3]  # every third is what it guesses
        right += (guesses_M == batch.labels_M).sum()
    assert right >= 14
    assert validate(model, batches, COMPUTE, World()).accuracy == pytest.approx(right / 43)


def test_validation_measures_the_loss_of_each_tenth_if_asked():
    model = model_of().eval()
    batches = [batch_of(4, seed=1, masked=30), batch_of(4, seed=2, masked=40)]
    tenths_V = np.random.default_rng(0).integers(0, 9, 4101)  # none is of the last tenth
    nats, labels = [], np.concatenate([batch.labels_M for batch in batches])
    for batch in batches:
        with torch.no_grad():
            logits = model(torch.from_numpy(batch.ids_BS).long(), torch.from_numpy(batch.attention_BS))
        logits_MV = logits.flatten(0, 1)[batch.positions_M]
        nats.append(F.cross_entropy(logits_MV, torch.from_numpy(batch.labels_M), reduction="none").numpy())
    plain = validate(model, batches, COMPUTE, World())
    found = validate(model, batches, COMPUTE, World(), lambda batch: tenths_V[batch.labels_M])
    assert (found.loss, found.accuracy, plain.tenth_losses) == (plain.loss, plain.accuracy, ())
    expected = [np.concatenate(nats)[tenths_V[labels] == tenth].mean() for tenth in range(9)]
    assert found.tenth_losses[:9] == pytest.approx(expected, rel=1e-5)
    assert math.isnan(found.tenth_losses[9])


def test_validation_reads_its_sums_once():
    model, batches = model_of(), [batch_of(4, seed=seed) for seed in range(3)]
    with Reads() as reads:
        validate(model, batches, COMPUTE, World(), lambda batch: np.zeros(len(batch.labels_M), np.int64))
    assert reads.count <= 2


def test_unigram_entropy():
    def labelled(labels):
        return MaskedBatch(
            np.zeros((1, 4), np.int32), np.ones((1, 4), bool), np.arange(len(labels)), np.array(labels), ""
        )

    assert unigram_entropy([labelled([7, 8]), labelled([7, 8])]) == pytest.approx(math.log(2))
    assert unigram_entropy([labelled([7, 7])]) == 0


def test_learning_rate_rises_and_falls_linearly():
    config = OptimConfig(lr=1.0, warmup=10)
    rates = [learning_rate(config, step, 110) for step in range(110)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.01)


def test_a_run_shorter_than_the_warmup_still_peaks():
    assert [learning_rate(OptimConfig(lr=1.0, warmup=500), s, 4) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_biases_and_norms_are_not_decayed():
    model = model_of()
    decayed, free = build_optimizer(model, CONFIG).param_groups
    assert decayed["weight_decay"] == 0.01
    assert free["weight_decay"] == 0
    assert all(p.ndim == 2 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])
    assert sum(len(g["params"]) for g in (decayed, free)) == len(list(model.parameters()))


def test_asking_for_a_gpu_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(CmgemsError, match=r"compute.device=auto"):
        start_compute(ComputeConfig(device="cuda"), seed=0)
