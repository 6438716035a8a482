from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from cmgems.distributed import World
from cmgems.errors import CheckpointError
from cmgems.masking import MaskedBatch
from cmgems.models import MODELS
from cmgems.runs import CheckpointConfig, Checkpoints
from cmgems.tasks import predict_logits
from cmgems.tokenization import TOKENIZERS
from cmgems.training import (
    ComputeConfig,
    OptimConfig,
    ParallelConfig,
    Saver,
    apply_gradients,
    build_optimizer,
    parallel,
    prepare_model,
    start_compute,
    validate,
)
from cmgems.training.parallel import (
    AUTO_SHARD_PARAMETERS,
    compile_layers,
    is_sharded_model,
    shard,
    whole_weights,
)

ALONE, TWO, SECOND = World(), World(0, 2), World(1, 2)
FAMILIES = ["dnabert_tiny", "logo_original", "dnabert2_tiny", "nt_tiny", "nt_v2_tiny"]


def compute():
    return start_compute(ComputeConfig(device="cpu", precision="fp32"), seed=0)


def tiny(name="dnabert_tiny", **options):
    compute()
    return MODELS.build(name, vocab_size=40, hidden_dropout=0.0, attention_dropout=0.0, **options).masked_lm()


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of this process alone: tensors are split into one part, by the code that splits into many."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def train(model, steps=2):
    optimizer = build_optimizer(model, OptimConfig())
    norms = []
    for step in range(steps):
        ids_BS = torch.randint(5, 40, (3, 10), generator=torch.Generator().manual_seed(step))
        model(ids_BS, None, torch.arange(12)).logsumexp(-1).mean().backward()
        norms.append(float(apply_gradients(model, optimizer, OptimConfig(), 1e-3)))
    return optimizer, norms


def test_who_shards():
    model, huge = tiny(), torch.nn.Linear(1, AUTO_SHARD_PARAMETERS, device="meta")
    assert [ParallelConfig("shard").shards(model, world) for world in (ALONE, TWO)] == [False, True]
    assert [ParallelConfig("auto").shards(m, TWO) for m in (model, huge)] == [False, True]
    assert not ParallelConfig("replicate").shards(huge, TWO)
    assert not ParallelConfig("auto").shards(huge, ALONE)


def test_ranks_have_the_same_weights_and_dropouts_of_their_own(monkeypatch):
    monkeypatch.setattr(parallel, "replicate", lambda model, reduce: model)  # there is no other process
    weights, draws = [], []
    for world in (ALONE, TWO, SECOND):
        model = tiny()
        assert prepare_model(model, ParallelConfig(), compute(), world) is model
        weights.append(model.state_dict())
        draws.append(torch.rand(5))
    assert all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_sharded_model_of_every_family_trains_like_a_whole_one(group, name):
    """Tied embeddings included: the decoder uses the encoder's outside the encoder's own forward."""
    small = {"hidden": 32, "heads": 4, "ffn": 48, "embedding": 16}  # embeddings projected
    sizes = small if name == "logo_original" else {}
    whole, split = tiny(name, **sizes), tiny(name, **sizes)
    shard(split, compute(), ALONE)
    assert is_sharded_model(split)
    assert not is_sharded_model(whole)
    assert all(isinstance(p, DTensor) for p in split.parameters())
    assert train(split)[1] == pytest.approx(train(whole)[1], rel=1e-5)
    found, expected = whole_weights(split, ALONE), whole_weights(whole, ALONE)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[key], expected[key], atol=1e-6) for key in expected)


@pytest.mark.slow
def test_layers_compiled_before_they_are_sharded_follow_the_eager_model(group):
    """torch.compile on the CPU; needs a C++ compiler."""
    whole, split = tiny(), tiny()
    compile_layers(split)
    shard(split, compute(), ALONE)
    assert train(split)[1] == pytest.approx(train(whole)[1], rel=1e-4)
    assert split.state_dict().keys() == whole.state_dict().keys()


def test_answers_of_a_model_of_compiled_layers_make_no_graph():
    """Each width of a dev set would be one more, until torch.compile refuses."""
    config = MODELS.get("dnabert_tiny")
    of_tokens, of_rows = config.masked_lm(), config.classifier(2)
    rows = [np.arange(5, 5 + length, dtype=np.int32) for length in (9, 20, 40)]
    torch._dynamo.utils.counters.clear()
    for model in (of_tokens, of_rows):
        compile_layers(model)
    compiled = replace(compute(), compiled=True)
    predict_logits(of_rows, rows, TOKENIZERS.get("kmer6"), 512, compiled, batch_tokens=1)
    batches = [
        MaskedBatch(row[None], np.ones((1, len(row)), np.bool_), np.array([2]), np.array([7]), "uniform")
        for row in rows
    ]
    validate(of_tokens, batches, compiled, ALONE)
    assert not torch._dynamo.utils.counters["stats"]["unique_graphs"]


def saver_of(folder, model, optimizer, config=None):
    def write_model(path, weights, step):
        (path / "model.json").write_text(f"{step} {len(weights)}")

    return Saver(Checkpoints(folder), config or CheckpointConfig(), model, optimizer, ALONE, write_model)


def test_damaged_shards_are_skipped_and_whole_ones_hold_no_pickle(group, tmp_path, capsys):
    split = tiny()
    shard(split, compute(), ALONE)
    optimizer, _ = train(split)
    saver = saver_of(tmp_path, split, optimizer)
    for step in (1, 2):
        saver.save(step, {"step": step})
    files = sorted(p.name for p in (tmp_path / "step_00000002").iterdir())
    assert files == ["manifest.json", "shard-00001-model-00001-of-00001.safetensors", "training.json"]
    shard_file = tmp_path / "step_00000002" / files[1]
    data = bytearray(shard_file.read_bytes())
    data[-3] ^= 4  # one flipped bit
    shard_file.write_bytes(data)
    whole = tiny()
    assert saver_of(tmp_path, whole, build_optimizer(whole, OptimConfig())).resume() == {
        "step": 1,
        "score": None,
    }
    assert "skipping damaged checkpoint" in capsys.readouterr().err


def test_shards_of_another_model(group, tmp_path):
    split = tiny()
    shard(split, compute(), ALONE)
    optimizer, _ = train(split)
    saver_of(tmp_path, split, optimizer).save(1, {})
    for other in (tiny(ffn=32), tiny(layers=1)):
        with pytest.raises(CheckpointError, match="checkpoint is of another model"):
            saver_of(tmp_path, other, build_optimizer(other, OptimConfig())).resume()


def test_the_plain_model_folder_of_a_sharded_run(group, tmp_path):
    split = tiny()
    shard(split, compute(), ALONE)
    saver = saver_of(tmp_path / "checkpoints", split, build_optimizer(split, OptimConfig()))
    for step in (7, 8):  # the second finds it there
        saver.keep_model(tmp_path / "final", step)
    assert (tmp_path / "final" / "model.json").read_text() == f"7 {len(split.state_dict())}"
