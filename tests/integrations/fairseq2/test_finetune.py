from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from fairseq2.device import CPU
from fairseq2.gang import FakeGang, Gangs
from fairseq2.recipe.config import (
    DatasetSection,
    GradAccumulationConfig,
    MixedPrecisionConfig,
    ModelSection,
    RegimeSection,
    TokenizerSection,
    TrainerSection,
)
from hypothesis import assume, given
from hypothesis import strategies as st

import cmgems
from cmgems.data import LabelledConfig, LabelledSet
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.integrations.fairseq2.beginning import Beginning
from cmgems.integrations.fairseq2.finetune import Config, FinetuneRecipe
from cmgems.integrations.fairseq2.labelled import LabelledReader, Settings
from cmgems.integrations.fairseq2.training import adamw, linear_decay
from cmgems.models import MODELS, load_model, save_model
from cmgems.tasks import TASKS
from cmgems.tokenization import TOKENIZERS
from tests.integrations.fairseq2.conftest import assert_same, resumed_at, run_recipe, saved


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A model folder with random weights."""
    folder, config = tmp_path_factory.mktemp("pretrained"), MODELS.build("logo_tiny", hidden_dropout=0.1)
    torch.manual_seed(0)
    save_model(
        folder, config.masked_lm(), model_name="logo_tiny", config=config, head="masked_lm",
        tokenizer_name="kmer6", tokenizer=TOKENIZERS.get("kmer6"),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def quantities(tmp_path_factory):
    """The share of G and C of 60 bp, in percent."""
    folder, rng = tmp_path_factory.mktemp("quantities"), np.random.default_rng(2)
    for split, rows in (("train", 64), ("dev", 32), ("test", 32)):
        lines = ["sequence,label"]
        for gc in rng.uniform(0.2, 0.8, rows):
            bases = "".join(rng.choice(list("ACGT"), 60, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]))
            lines.append(f"{bases},{100 * gc:.1f}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def settings(pretrained, small_labelled):
    def make(
        folder=small_labelled, task="classification", outputs=2, *, name=pretrained, steps=16, **changes
    ):
        overrides = {"name": str(name), "head": task, "num_labels": outputs}
        dataset = {"sequences": 16, "data": {"dir": str(folder)}, "task": task}
        config = Config(
            model=ModelSection(family="cmgems_classifier", config_overrides=overrides),
            dataset=DatasetSection(family="cmgems_labelled", config_overrides=dataset),
            trainer=TrainerSection(
                max_grad_norm=1.0,
                mixed_precision=MixedPrecisionConfig(mode="off"),
                grad_accumulation=GradAccumulationConfig(num_batches=2),
            ),
            optimizer=adamw(3e-3, weight_decay=0.01),
            lr_scheduler=linear_decay(2),
            regime=RegimeSection(
                num_steps=steps,
                validate_every_n_steps=4,
                checkpoint_every_n_steps=4,
                publish_metrics_every_n_steps=4,
            ),
        )
        for key, value in changes.items():
            setattr(config, key, value)
        return config

    return make


@pytest.fixture
def finetune():
    return lambda config, out: run_recipe(FinetuneRecipe(), config, out)


def scores(out):
    lines = (out / "metrics" / "valid.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_it_learns_and_resumes_to_the_bit(settings, finetune, tmp_path):
    """40 steps are five epochs of 120 rows: the last step of an epoch has 8 rows."""
    config = settings(steps=40)
    config.regime.score_metric, config.regime.keep_best_n_checkpoints = "mcc", 4
    config.regime.validate_every_n_steps = config.regime.checkpoint_every_n_steps = 12
    whole = finetune(config, tmp_path / "whole")
    assert scores(whole)[-1]["MCC"] > 0.2
    assert {"Accuracy", "Macro-F1", "AUC"} <= scores(whole)[-1].keys()
    out = resumed_at(36, whole, tmp_path / "resumed", finetune, config)
    assert_same(saved(out, 40), saved(whole, 40))


def test_a_run_goes_on_with_the_labels_it_began_with(settings, finetune, small_labelled, tmp_path):
    folder = shutil.copytree(small_labelled, tmp_path / "labels")
    finetune(settings(folder, steps=4), tmp_path / "run")
    config = settings(folder, steps=8)
    config.dataset.config_overrides["sequences"] = 8
    with pytest.raises(CheckpointError, match=r"other data in dataset: `sequences` is 16 there, 8 here"):
        finetune(config, tmp_path / "run")
    rows = (folder / "train.csv").read_text().splitlines(keepends=True)
    (folder / "train.csv").write_text("".join(rows[:-1]))
    with pytest.raises(
        CheckpointError, match=r"other data in dataset: data.dir \(train.csv\) hold something"
    ):
        finetune(settings(folder, steps=8), tmp_path / "run")


def test_the_encoder_is_the_folders_and_the_result_is_a_model_of_ours(
    settings, finetune, pretrained, small_labelled, tmp_path
):
    out = finetune(settings(steps=4, optimizer=adamw(0.0, 0.0)), tmp_path / "run")
    found = load_model(out)
    assert (found.head, found.labels, found.model_name) == ("classification", ["0", "1"], "logo_tiny")
    encoder = load_model(pretrained).model.encoder.state_dict()
    assert_same(dict(found.model.encoder.state_dict()), dict(encoder))
    assert len(list(cmgems.load(out).predict(["ACGTACGTACGTACG"]))) == 1


def test_quantities_are_learnt_in_standard_deviations_and_saved_in_their_units(
    settings, finetune, quantities, tmp_path
):
    config = settings(quantities, "regression", 1, name="logo_tiny")
    out = finetune(config, tmp_path / "run")
    assert "Pearson's r" in scores(out)[-1]
    (prediction,) = cmgems.load(out).predict(["ACGT" * 15])
    assert 20 < prediction.values[0] < 80


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": 3}, r"model and labels differ .* \{head: classification, num_labels: 2\}"),
        ({"task": "classificaton"}, "did you mean 'classification'"),
        ({"tokenizer": TokenizerSection(name="cmgems_kmer5")}, "another tokenizer in tokenizer: .* with kmer6"),
        ({"folder": "no_such_folder"}, "no_such_folder"),
    ],
)  # fmt: skip
def test_mistakes_say_what_to_set(settings, finetune, tmp_path, changes, message):
    with pytest.raises(CmgemsError, match=message):
        finetune(settings(**changes), tmp_path / "run")


BEGINNING = Beginning(Settings(data=LabelledConfig(dir=Path("labels"))), 1)


def reader_of(rows, sequences, parts, rank=0, size=1, **options):
    ids = [np.array([2, 5 + row, 3], np.int32) for row in range(rows)]
    alone, share = FakeGang(CPU), FakeGang(CPU, rank=rank, size=size)
    gangs = Gangs(root=share, dp=share, rdp=share, sdp=alone, tp=alone, pp=alone)
    train = LabelledSet(ids, np.arange(rows) % 2, ("no", "yes"))
    task = TASKS.build("classification", **options).fit(train.targets, train.names)
    return LabelledReader(train, task, sequences, parts, TOKENIZERS.get("kmer6"), 512, BEGINNING, gangs)


def test_a_part_counts_for_the_weights_of_its_labels():
    for part in next(reader_of(8, 8, 2, class_weights=(1.0, 3.0))):
        assert part.weight == sum(3.0 if label else 1.0 for label in part.labels.tolist())


def rows_of(step):
    return [sorted((part.ids_BS[:, 1] - 5).tolist()) for part in step]


@pytest.mark.parametrize(
    ("rows", "sequences", "parts", "size"), [(20, 8, 1, 1), (20, 8, 2, 2), (17, 8, 4, 1), (9, 9, 1, 3)]
)
def test_every_row_once_an_epoch_but_those_that_do_not_go_round(rows, sequences, parts, size):
    readers = [reader_of(rows, sequences, parts, rank, size) for rank in range(size)]
    orders = []
    for _ in range(3):
        seen = [[rows_of(step) for step in reader] for reader in readers]
        assert len({len(steps) for steps in seen}) == 1
        assert all(len(step) == parts and all(step) for steps in seen for step in steps)
        flat = [row for steps in seen for step in steps for part in step for row in part]
        left = rows % sequences if rows % sequences < parts * size else 0
        assert len(flat) == len(set(flat)) == rows - left
        orders.append(flat)
    assert orders[0] != orders[1] != orders[2]


@hypothesis.settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 30), st.integers(1, 12), st.integers(1, 3), st.integers(1, 3), st.integers(0, 9), st.data()
)
def test_the_state_continues_the_epoch(rows, sequences, parts, size, taken, data):
    """Whatever the sizes, and wherever it was saved, also at the end of an epoch."""
    assume(min(rows, sequences) >= parts * size)
    rank = data.draw(st.integers(0, size - 1))
    first, second = (reader_of(rows, sequences, parts, rank, size) for _ in range(2))
    for _ in range(taken):
        next(first, None)
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    for _ in range(5):
        assert rows_of(next(first, [])) == rows_of(next(second, []))


def test_a_step_has_a_row_for_each_batch():
    with pytest.raises(CmgemsError, match="3 sequences a step do not make 4 batches"):
        reader_of(20, 3, 2, size=2)
