"""Padded, packed and static: other tensors, the same loss and gradients; compiled, a graph a shape and no more."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.masking import MaskedBatch
from cmgems.models import MODELS
from cmgems.models.packing import KERNELS, Packing
from cmgems.tokenization import IGNORE
from cmgems.training import Compute, ComputeConfig, OptimConfig, build_optimizer, start_compute, train_step
from cmgems.training.inputs import loss_inputs, packing_kernel
from cmgems.training.step import MaskedLMLoss

COMPUTE = start_compute(ComputeConfig(device="cpu", precision="fp32"), seed=0)
PRESETS = ["dnabert_tiny", "dnabert2_tiny", "nt_tiny", "nt_v2_tiny"]
# nt_tiny is built from the parts of the others, and dnabert_tiny takes longest to compile.
COMPILED = [pytest.param(p, marks=[pytest.mark.slow] * (p != "dnabert2_tiny")) for p in PRESETS]


def batch_of(lengths, columns, seed=0):
    """Rows of different lengths with a fifth of their tokens masked."""
    rng = np.random.default_rng(seed)
    attention_BS = np.arange(columns) < np.array(lengths)[:, None]
    ids_BS = np.where(attention_BS, rng.integers(6, 4000, attention_BS.shape), 0).astype(np.int32)
    positions_M = np.sort(
        rng.choice(np.flatnonzero(attention_BS), max(1, attention_BS.sum() // 5), replace=False)
    )
    return MaskedBatch(ids_BS, attention_BS, positions_M, rng.integers(6, 4000, len(positions_M)), "uniform")


def inputs_of(batch, packing, static):
    return loss_inputs(batch, dataclasses.replace(COMPUTE, packing=packing), static=static)


def pack_by(kernel, monkeypatch):
    """Pack rows for a kernel that this machine may lack."""
    monkeypatch.setattr("cmgems.training.inputs.packing_kernel", lambda *_, **__: kernel)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("packing", "static"), [("off", True), ("on", False), ("on", True)])
def test_the_loss_and_the_gradients_stay_the_same(preset, packing, static):
    batch = batch_of([24, 7, 16, 3], 24)
    torch.manual_seed(0)
    config = dataclasses.replace(MODELS.get(preset), hidden_dropout=0.0, attention_dropout=0.0)
    if hasattr(config, "pad_id"):
        config = dataclasses.replace(config, pad_id=0)
    loss = MaskedLMLoss(config.masked_lm())
    found = []
    for kind in (("off", False), (packing, static)):
        loss.zero_grad()
        total = loss(*inputs_of(batch, *kind))
        total.backward()
        found.append((total.item(), {n: p.grad for n, p in loss.named_parameters() if p.grad is not None}))
    (expected, gradients), (actual, ours) = found
    assert actual == pytest.approx(expected, rel=1e-5)
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            ours[name], gradient, atol=2e-4, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_packing_leaves_the_padding_out():
    batch = batch_of([24, 7, 16, 3], 24)
    ids_1T, packing, positions_M, labels_M = inputs_of(batch, "on", static=False)
    assert ids_1T.shape == (1, 50)
    assert packing.lengths == (24, 7, 16, 3)
    assert torch.equal(ids_1T[0, positions_M], torch.from_numpy(batch.ids_BS.flat[batch.positions_M]).long())
    assert torch.equal(labels_M, torch.from_numpy(batch.labels_M))


@pytest.mark.parametrize("packing", ["on", "off"])
def test_static_shapes_are_few(packing):
    rng = np.random.default_rng(1)
    batches = [batch_of([64, *rng.integers(5, 65, 9)], 64, seed) for seed in range(60)]
    inputs = [inputs_of(batch, packing, static=True) for batch in batches]
    shapes = {(ids.shape, positions.shape) for ids, _, positions, _ in inputs}
    assert len(shapes) <= 8
    if packing == "on":
        assert max(max(layout.lengths) for _, layout, _, _ in inputs) <= 64


def test_as_many_sequences_in_every_static_row(monkeypatch):
    pack_by("flash", monkeypatch)
    rng = np.random.default_rng(1)
    batches = [batch_of([64, *rng.integers(5, 65, 9)], 64, seed) for seed in range(60)]
    layouts = [inputs_of(batch, "on", static=True)[1] for batch in batches]
    assert len({len(layout.starts_N) for layout in layouts}) == 1
    assert {layout.longest for layout in layouts} == {64}
    assert all(layout.starts_N.diff().max() <= 64 for layout in layouts)


@pytest.mark.parametrize(
    ("rows", "masked", "padded"),
    [(250, 0.11, 0.165), (250, 0.164, 0.165), (250, 0.17, 0.18), (10, 0.1, 0.226), (10, 0.22, 0.226)],
)
def test_masked_positions_are_padded_to_what_batches_seldom_exceed(rows, masked, padded):
    batch = batch_of([40] * rows, 40)
    count = round(masked * batch.ids_BS.size)
    batch = dataclasses.replace(batch, positions_M=np.arange(count), labels_M=np.full(count, 7))
    _, _, positions_M, labels_M = inputs_of(batch, "off", static=True)
    assert len(positions_M) == len(labels_M) == pytest.approx(padded * batch.ids_BS.size, rel=0.01)
    assert (labels_M == IGNORE).sum() == len(labels_M) - count


@pytest.mark.parametrize(("lengths", "packed"), [([20, 20], False), ([20, 19], False), ([20, 10], True)])
def test_auto_packs_where_there_is_much_padding(lengths, packed):
    layout = inputs_of(batch_of(lengths, 20), "auto", static=False)[1]
    assert isinstance(layout, Packing) is packed
    assert (layout is None) is (lengths == [20, 20])


GPU = dataclasses.replace(COMPUTE, device=torch.device("cuda"), compiled=True)
ALIBI = MODELS.get("dnabert2_tiny").encoder().packed_by


@pytest.mark.parametrize(
    ("packing", "flash", "packed_by", "lengths", "static", "kernel"),
    [
        ("auto", True, KERNELS, [20, 19], True, "flash"),
        ("auto", True, KERNELS, [20, 19], False, "flash"),
        ("auto", True, KERNELS, [20, 20], True, None),
        ("auto", True, ALIBI, [20, 10], True, None),
        ("auto", False, KERNELS, [20, 10], True, None),
        ("on", True, KERNELS, [20, 20], True, "flash"),
        ("on", True, ALIBI, [20, 10], True, "flex"),
        ("on", False, KERNELS, [20, 10], True, "flex"),
        ("on", False, KERNELS, [20, 10], False, None),
        ("off", True, KERNELS, [20, 10], True, None),
    ],
)
def test_kernels_of_packed_rows_on_a_gpu(packing, flash, packed_by, lengths, static, kernel, monkeypatch):
    monkeypatch.setattr(Compute, "flash", flash)
    compute = dataclasses.replace(GPU, packing=packing)
    batch = batch_of(lengths, 20)
    assert packing_kernel(batch, compute, static=static, packed_by=packed_by) == kernel


def test_a_graph_keeps_its_padded_rows(monkeypatch):
    monkeypatch.setattr(Compute, "flash", True)
    compute = dataclasses.replace(GPU, packing="auto", cuda_graphs="on")
    assert packing_kernel(batch_of([20, 10], 20), compute, static=True, packed_by=KERNELS) is None


def test_without_torch_compile_alibi_is_not_packed_on_a_gpu():
    compute = dataclasses.replace(GPU, packing="on", compiled=False)
    with pytest.raises(CmgemsError, match=r"without torch.compile on a GPU in compute.packing: .*compile=on"):
        packing_kernel(batch_of([20, 10], 20), compute, static=False, packed_by=ALIBI)


def test_auto_does_not_pack_for_a_model_that_cannot():
    layout = loss_inputs(batch_of([20, 10], 20), COMPUTE, static=False, packed_by=())[1]
    assert isinstance(layout, torch.Tensor)


@pytest.mark.parametrize("static", [True, False])
def test_only_rows_with_padding_have_a_mask(static):
    assert inputs_of(batch_of([20, 20], 20), "off", static=static)[1] is None
    assert inputs_of(batch_of([20, 19], 20), "off", static=static)[1].sum() == 39


def graphs_made():
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.fixture
def compiling(monkeypatch):
    """Compute that compiles as on a GPU, graph by graph, but generates no code."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    return dataclasses.replace(COMPUTE, compiled=True, packing="off")


@pytest.mark.parametrize("preset", [pytest.param("logo_tiny", marks=pytest.mark.slow), *COMPILED])
def test_steps_after_warm_up_compile_nothing(preset, compiling):
    model = dataclasses.replace(MODELS.get(preset), layers=1).masked_lm()
    loss = compiling.compile(MaskedLMLoss(model))  # refuses a graph break
    config = OptimConfig()
    optimizer = build_optimizer(model, config)
    full = [[32] * 6, [64] * 6]
    rng = np.random.default_rng(0)
    short = [[width, *rng.integers(5, width, 5)] for width in (32, 64) for _ in range(2)]
    batches = [batch_of(lengths, max(lengths), seed) for seed, lengths in enumerate([*full, *short, *full])]

    def train(lr):
        for batch in batches:
            train_step(model, loss, [batch], optimizer, config, lr, compiling, World())

    train(1e-3)
    kinds = [loss_inputs(batch, compiling, static=True) for batch in batches]
    assert graphs_made() == len({(i.shape, p.shape, layout is None) for i, layout, p, _ in kinds}) <= 8
    warm = graphs_made()
    train(5e-4)
    assert graphs_made() == warm


@pytest.mark.parametrize("preset", COMPILED)
def test_packed_rows_as_on_a_gpu_compile_once_a_shape(preset, compiling, monkeypatch):
    pack_by("flex", monkeypatch)
    config = dataclasses.replace(MODELS.get(preset), layers=1, attention_dropout=0.0)
    loss = torch.compile(MaskedLMLoss(config.masked_lm()), backend="eager", dynamic=False, fullgraph=True)
    rng = np.random.default_rng(0)
    shapes = set()
    for seed in range(10):
        inputs = inputs_of(batch_of([64, *rng.integers(5, 65, 9)], 64, seed), "on", static=True)
        with torch.no_grad():  # flex_attention has no backward pass on a CPU
            loss(*inputs)
        shapes.add((inputs[0].shape, inputs[2].shape))
    assert graphs_made() == len(shapes) < 8
