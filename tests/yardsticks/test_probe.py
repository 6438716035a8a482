"""Probes find the layer in which a label is planted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from cmgems.tasks import TASKS
from cmgems.yardsticks.probe import fit_probe


@dataclass
class Planted:
    """Three layers of noise; in layer 1 the labels stand out."""

    labels: np.ndarray
    seed: int
    layers: tuple[int, ...] = (0, 1, 2)
    vectors: dict = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        values = self.labels if self.labels.ndim > 1 else self.labels[:, None]
        self.vectors = {layer: rng.normal(size=(len(values), 4)).astype(np.float32) for layer in self.layers}
        if 1 in self.layers:
            self.vectors[1][:, : values.shape[1]] += 4 * values

    def of_layer(self, layer):
        return self.vectors[layer]


def labels(task, count, seed):
    rng = np.random.default_rng(seed)
    if task == "classification":
        return rng.permutation(np.arange(count) % 2)
    values = rng.normal(size=(count, 2))
    return values if task == "regression" else (values > 0).astype(float)


@pytest.mark.parametrize("task", ["classification", "regression", "multi_label"])
@pytest.mark.parametrize("has_dev", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_layer_is_found(task, has_dev):
    train, dev, test = (labels(task, 60, seed) for seed in range(3))
    pairs = [(Planted(of_split, seed), of_split) for seed, of_split in enumerate((train, dev, test))]
    probe = fit_probe(TASKS.get(task), 2, pairs[0], pairs[1] if has_dev else None)
    assert probe.layer == 1
    assert probe.chosen_on == ("dev" if has_dev else "5-fold cross-validation of train")
    assert [one.layer for one in probe.tried] == [0, 1, 2]
    scores = TASKS.get(task).metrics(test, probe.predict(pairs[2][0].of_layer(1)))
    assert scores[TASKS.get(task).metric] > 0.6
    again = fit_probe(TASKS.get(task), 2, pairs[0], pairs[1] if has_dev else None)
    assert (again.layer, again.learner, again.tried) == (probe.layer, probe.learner, probe.tried)


def test_of_one_example_a_class_the_last_layer_is_taken():
    train = np.array([0, 1])
    probe = fit_probe(TASKS.get("classification"), 2, (Planted(train, 0), train), None)
    assert (probe.layer, probe.chosen_on, probe.tried, probe.learner.strength) == (2, "nothing", (), 1.0)
    assert probe.predict(np.zeros((3, 4))).shape == (3, 2)
