"""What every rank of test_distributed.py's processes does; started by torchrun, fails by an assertion."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from cmgems.distributed import ALONE, World, open_world
from cmgems.models import MODELS
from cmgems.runs import CheckpointConfig, Checkpoints
from cmgems.training import (
    ComputeConfig,
    OptimConfig,
    ParallelConfig,
    Saver,
    apply_gradients,
    build_optimizer,
    exchanging,
    prepare_model,
    start_compute,
)
from cmgems.training.compute import RECOMPILE_LIMIT
from cmgems.training.parallel import is_sharded_model, replicate, whole_weights

CONFIG = OptimConfig(lr=1e-3)
COMPUTE = ComputeConfig(device="cpu", precision="fp32", threads=1)


class Training:
    """A tiny model without dropout and its optimizer; a step takes this rank's share of eight rows."""

    def __init__(self, world: World, mode: str, *, recompute: bool = False) -> None:
        self.world = world
        compute = start_compute(replace(COMPUTE, recompute=recompute), seed=0)
        options = {"vocab_size": 50, "hidden_dropout": 0.0, "attention_dropout": 0.0}
        self.model = MODELS.build("dnabert_tiny", **options).masked_lm()
        self.called = prepare_model(self.model, ParallelConfig(mode), compute, world)
        self.optimizer = build_optimizer(self.model, CONFIG)

    def step(self, number: int) -> float:
        """Two micro-batches; returns the gradient's norm."""
        ids_BS = torch.randint(5, 50, (8, 12), generator=torch.Generator().manual_seed(number))
        for part, batch_BS in enumerate(ids_BS.chunk(2)):
            mine_BS = batch_BS[self.world.rank :: self.world.size]
            with exchanging(self.called, last=part == 1):
                logits_MV = self.called(mine_BS, None, torch.arange(mine_BS.numel()))
                (logits_MV.logsumexp(-1).sum() / ids_BS.numel()).backward()
        return float(apply_gradients(self.model, self.optimizer, CONFIG, CONFIG.lr))

    def steps(self, first: int, last: int) -> list[float]:
        return [self.step(number) for number in range(first, last)]

    def saver(self, folder: Path, *, background: bool = False) -> Saver:
        config = CheckpointConfig(background=background)
        return Saver(Checkpoints(folder), config, self.model, self.optimizer, self.world, write_model)

    def weights(self) -> dict[str, torch.Tensor]:
        return whole_weights(self.model, self.world)


def write_model(folder: Path, weights: object, step: int) -> None:
    from safetensors.torch import save_file

    save_file(dict(weights), folder / "model.safetensors")


def check_exchange(world: World) -> None:
    assert world.from_first(world.rank + 7) == 7
    assert [int(t) for t in world.gather(torch.tensor(world.rank))] == list(range(world.size))
    rows = np.full((world.rank + 1, 2), world.rank, np.float32)  # rank 0 has one row, rank 1 two
    assert world.gather_rows(rows)[:, 0].tolist() == [
        rank for rank in range(world.size) for _ in range(rank + 1)
    ]
    assert world.sum(world.rank + 1) == world.size * (world.size + 1) / 2


def check_sums(world: World) -> None:
    """Replicas sum; a parameter that takes no part keeps no gradient; in bf16 the sum is rounded."""
    for reduce, tolerance in (("fp32", 0.0 if world.size == 2 else 1e-6), ("bf16", 2e-2)):
        model = torch.nn.Linear(4, 3)
        model.unused = torch.nn.Parameter(torch.zeros(2))
        rows = torch.randn(world.size, 4, generator=torch.Generator().manual_seed(1))
        wrapped = replicate(model, reduce)
        wrapped(rows[world.rank]).sum().backward()
        assert torch.allclose(model.weight.grad, rows.sum(0).expand(3, 4), rtol=tolerance, atol=tolerance)
        assert model.unused.grad is None


def check_modes(world: World) -> None:
    """One process, replicas and shards: the same norms and weights; dropout of its own on each rank."""
    alone = Training(ALONE, "auto")
    norms, weights = alone.steps(0, 3), alone.weights()
    for mode, recompute in product(("replicate", "shard"), (False, True)):
        training = Training(world, mode, recompute=recompute)
        draws = world.gather(torch.rand(4))
        assert len({tuple(draw.tolist()) for draw in draws}) == world.size
        assert is_sharded_model(training.model) == (mode == "shard")
        assert torch.allclose(torch.tensor(training.steps(0, 3)), torch.tensor(norms), rtol=1e-4), mode
        close(training.weights(), weights, world, mode)


def check_compiled_layers(world: World) -> None:
    """Validation widths and training widths are a graph each: more than torch.compile allows by itself."""
    compute = replace(start_compute(COMPUTE, seed=0), compiled=True)
    torch._dynamo.config.recompile_limit = 8
    prepare_model(MODELS.build("dnabert_tiny", vocab_size=50).masked_lm(), ParallelConfig(), compute, world)
    assert torch._dynamo.config.recompile_limit == RECOMPILE_LIMIT


def check_resumes(world: World, folder: Path) -> None:
    """Any mode goes on from any other's checkpoint; the same mode and ranks to the bit, dropout included."""
    alone = Training(ALONE, "auto")
    alone.steps(0, 4)
    expected = alone.weights()
    for mode, background in (("replicate", False), ("replicate", True), ("shard", False), ("shard", True)):
        saved = Training(world, mode)
        place = folder / f"{mode}-{background}"
        with saved.saver(place, background=background) as saver:
            saved.steps(0, 2)
            saver.save(2, {"step": 2})
            saved.steps(2, 4)  # must not change what is being written
        world.wait()
        draws, weights = torch.rand(4), saved.weights()
        for other in ("shard", "replicate"):
            training = Training(world, other)
            assert training.saver(place).resume() == {"step": 2, "score": None}
            training.steps(2, 4)
            found = training.weights()
            close(found, expected, world, f"{mode} to {other}")
            assert torch.equal(torch.rand(4), draws)
            assert other != mode or all(torch.equal(tensor, weights[name]) for name, tensor in found.items())
    # What a single process makes of shards.
    training = Training(ALONE, "auto")
    assert training.saver(folder / "shard-False").resume() == {"step": 2, "score": None}
    training.steps(2, 4)
    close(training.weights(), expected, world, "shard to one")


def close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], world: World, what: str) -> None:
    if world.is_main:
        assert found.keys() == expected.keys(), what
        for name, tensor in expected.items():
            assert torch.allclose(found[name], tensor, atol=1e-5), (what, name)


if __name__ == "__main__":
    with open_world() as joined:
        check_exchange(joined)
        check_sums(joined)
        check_modes(joined)
        check_compiled_layers(joined)
        check_resumes(joined, Path(sys.argv[1]))
    print("fine")
