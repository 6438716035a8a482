"""What every family has to do, on tiny models."""

from dataclasses import replace
from typing import get_args

import pytest
import safetensors.torch
import torch

from cmgems.config import Component
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models import (
    MODELS,
    Head,
    ModelSource,
    PublishedModel,
    build_model,
    fit_to_tokenizer,
    load_model,
    save_model,
)
from cmgems.models.base import UNLABELLED
from cmgems.models.packing import Packing
from cmgems.models.saved import check_state
from cmgems.tokenization import TOKENIZERS

TOKENIZER = TOKENIZERS.get("kmer3")
SMALL = {"vocab_size": 69, "layers": 2, "hidden": 32, "heads": 4, "ffn": 48, "max_positions": 64}
# The tiny model of every family, and what makes one of them special.
TINY = {
    "bert": MODELS.build("dnabert_tiny", **SMALL),
    "bert, projected": MODELS.build("logo_original", **SMALL, embedding=12),
    "dnabert2": MODELS.build("dnabert2_tiny", **SMALL),
    "dnabert2, 6 heads": MODELS.build("dnabert2_tiny", **SMALL | {"hidden": 36, "heads": 6}),
    "nt_v1": MODELS.build("nt_tiny", **SMALL, pad_id=0, mask_id=4),
    "nt_v2": MODELS.build("nt_v2_tiny", **SMALL, pad_id=0),
    "modernbert": MODELS.build("modernbert_tiny", **SMALL, window=6, global_every=2),
}
HEADS = get_args(Head)
LABELS = ["a", "b", "c"]

each_family = pytest.mark.parametrize("config", TINY.values(), ids=TINY)
# These compile as another does: "bert" for a projection and for learned positions, "dnabert2" for six heads; and
# tests/training/test_inputs.py compiles training steps of the others.
COMPILE_ALIKE = {"bert, projected", "dnabert2", "dnabert2, 6 heads", "nt_v1", "nt_v2", "modernbert"}
each_compiled = pytest.mark.parametrize(
    "config",
    [pytest.param(c, id=n, marks=[pytest.mark.slow] * (n in COMPILE_ALIKE)) for n, c in TINY.items()],
)
each_head = pytest.mark.parametrize("head", HEADS)


def make(config, head="masked_lm"):
    """A model larger than at initialisation, in evaluation mode."""
    torch.manual_seed(0)
    model = build_model(config, head, len(LABELS))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    return model.eval()


def batch(tokens=12):
    """Rows of random tokens with some [MASK], the second and third padded."""
    torch.manual_seed(1)
    ids_BS = torch.randint(5, 69, (3, tokens))
    ids_BS[:, 2] = TOKENIZER.mask_id
    real_BS = torch.arange(tokens) < torch.tensor([[tokens], [tokens - 4], [3]])
    return ids_BS * real_BS, real_BS


def assert_equal_states(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


LARGE = ("nt_2b5", "nt_500m", "nt_v2_250m", "nt_v2_500m")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in MODELS.names()]
)
def test_every_preset_builds_every_head(name):
    config = MODELS.get(name)
    with torch.device("meta"):
        for head in HEADS:
            assert hasattr(build_model(config, head, 2).encoder, "outputs")


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("nt_500m", 485.7),
        ("nt_v2_50m", 54.9),
        ("nt_v2_100m", 96.8),
        ("nt_v2_250m", 233.5),
        ("nt_v2_500m", 496.2),
    ],
)
def test_parameter_counts_are_the_published_ones(name, millions):
    with torch.device("meta"):
        count = sum(p.numel() for p in MODELS.get(name).masked_lm().parameters())
    digits = len(str(millions).partition(".")[2])
    assert round(count / 1e6, digits) == millions


def test_nt_2b5_has_two_and_a_half_billion_parameters():
    with torch.device("meta"):
        count = sum(p.numel() for p in MODELS.get("nt_2b5").masked_lm().parameters())
    assert round(count / 1e9, 1) == 2.5


def test_parameter_count_of_dnabert2_is_published_with_the_pooler():
    with torch.device("meta"):
        model = MODELS.get("dnabert2").masked_lm()
        pooler = MODELS.get("dnabert2").classifier(2).head.pooler
    count = sum(p.numel() for module in (model, pooler) for p in module.parameters())
    assert round(count / 1e6, 1) == 117.7


@each_family
def test_shapes_of_all_heads(config):
    ids_BS, real_BS = batch()
    shapes = {
        "masked_lm": (3, 12, 69),
        "classification": (3, 3),
        "multi_label": (3, 3),
        "regression": (3, 3),
        "token_classification": (3, 12, 3),
        "encoder": (3, 12, config.hidden),
    }
    for head, shape in shapes.items():
        assert make(config, head)(ids_BS, real_BS).shape == shape
    positions_M = torch.tensor([2, 14, 0, 2])
    model = make(config)
    full_NV = model(ids_BS, real_BS).flatten(0, 1)
    torch.testing.assert_close(model(ids_BS, real_BS, positions_M), full_NV[positions_M], atol=1e-5, rtol=0)


@each_family
@each_head
def test_padding_changes_nothing(config, head):
    model = make(config, head)
    ids_BS, real_BS = batch()
    alone, padded = model(ids_BS[1:2, :8]), model(ids_BS, real_BS)[1:2]
    if head in ("masked_lm", "token_classification", "encoder"):
        padded = padded[:, :8]
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=0)


@each_family
def test_mask_of_ones_is_no_mask(config):
    model = make(config)
    ids_BS = batch()[0].clamp(min=5)
    torch.testing.assert_close(
        model(ids_BS, torch.ones_like(ids_BS, dtype=torch.bool)), model(ids_BS), atol=1e-5, rtol=0
    )


@each_family
@pytest.mark.parametrize("padded", [False, True])
def test_outputs_equal_the_fast_path(config, padded):
    encoder = make(config).encoder
    ids_BS, real_BS = batch()
    inputs = (ids_BS, real_BS) if padded else (ids_BS.clamp(min=5),)
    fast_BSD = encoder(*inputs)
    plain = encoder.outputs(*inputs)
    assert (plain.hidden_states, plain.attentions) == (None, None)
    assert torch.equal(plain.last_BSD, fast_BSD)

    full = encoder.outputs(*inputs, hidden_states=True, attentions=True)
    torch.testing.assert_close(full.last_BSD, fast_BSD, atol=1e-5, rtol=0)
    assert full.hidden_states[-1] is full.last_BSD
    assert [state.shape for state in full.hidden_states] == [fast_BSD.shape] * 3
    assert [p.shape for p in full.attentions] == [(3, config.heads, 12, 12)] * 2
    for probabilities_BHSS in full.attentions:
        torch.testing.assert_close(probabilities_BHSS.sum(-1), torch.ones(3, config.heads, 12))
        if padded:
            of_real_BHSS = probabilities_BHSS * real_BS[:, None, :, None]
            assert (of_real_BHSS.masked_select(~real_BS[:, None, None]) == 0).all()
    states = encoder.outputs(*inputs, hidden_states=True).hidden_states
    for fused, explicit in zip(states, full.hidden_states, strict=True):
        torch.testing.assert_close(fused, explicit, atol=1e-5, rtol=0)


@each_family
@each_head
def test_model_folders_bring_back_every_head(tmp_path, config, head):
    model = make(config, head)
    name = next(n for n in MODELS.names() if MODELS.get(n).family == config.family)
    labels = [] if head in UNLABELLED else LABELS
    save_model(
        tmp_path,
        model,
        model_name=name,
        config=config,
        head=head,
        tokenizer_name="kmer3",
        tokenizer=TOKENIZER,
        labels=labels,
    )
    saved = load_model(tmp_path)
    assert (saved.config, saved.head, saved.labels) == (config, head, labels)
    assert_equal_states(model.state_dict(), saved.model.state_dict())
    ids_BS, real_BS = batch()
    assert torch.equal(saved.model(ids_BS, real_BS), model(ids_BS, real_BS))

    source = ModelSource.of(Component(str(tmp_path)), Component("kmer3"))
    other = source.with_head("token_classification", 2)
    assert_equal_states(other.encoder.state_dict(), model.encoder.state_dict())


@pytest.mark.parametrize(("head", "labels"), [("masked_lm", LABELS), ("regression", [])])
def test_labels_name_the_outputs(tmp_path, head, labels):
    config = TINY["bert"]
    with pytest.raises(ValueError, match=head):
        save_model(
            tmp_path,
            make(config, head),
            model_name="dnabert_tiny",
            config=config,
            head=head,
            tokenizer_name="kmer3",
            tokenizer=TOKENIZER,
            labels=labels,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("family", [name for name in TINY if name != "bert, projected"])
@each_head
def test_published_names_round_trip_bit_for_bit(family, head):
    config = TINY[family]
    ours = make(config, head).state_dict()
    theirs = safetensors.torch.load(safetensors.torch.save(config.to_huggingface(ours)))
    back = config.from_huggingface(theirs)
    assert_equal_states(back, ours)
    with pytest.raises(CheckpointError, match=r"unknown tensors: bert\.extra"):
        config.from_huggingface(theirs | {"bert.extra.weight": torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"unknown tensors: encoder\.extra\.weight"):
        config.to_huggingface(ours | {"encoder.extra.weight": torch.ones(1)})
    for name in theirs:
        if "contact_head" in name:
            continue
        cut = {other: tensor for other, tensor in theirs.items() if other != name}
        with pytest.raises(CheckpointError, match="missing tensors"):
            check_state(config.from_huggingface(cut), ours, where="checkpoint")


def test_only_families_that_plain_transformers_knows_say_so():
    known = {name for name, config in TINY.items() if config.plain_transformers}
    assert known == {"bert", "bert, projected", "nt_v1", "modernbert"}
    assert all(isinstance(config, PublishedModel) for config in TINY.values())
    projected = TINY["bert, projected"]
    state = projected.masked_lm().state_dict()
    for hook in (projected.to_huggingface, projected.from_huggingface):
        with pytest.raises(CmgemsError, match="no Hugging Face class in model with 12 embedding"):
            hook(state)
    with pytest.raises(CmgemsError, match="no Hugging Face class"):
        projected.huggingface_config("masked_lm")


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("kind", ["hidden_dropout", "attention_dropout"])
def test_dropout_acts_in_training_only(name, kind):
    off = replace(TINY[name], hidden_dropout=0.0, attention_dropout=0.0)
    ids_BS, real_BS = batch()
    for head in ("masked_lm", "token_classification"):
        model = build_model(replace(off, **{kind: 0.5}), head, 3).train()
        assert not torch.equal(model(ids_BS, real_BS), model(ids_BS, real_BS))
        model.eval()
        assert torch.equal(model(ids_BS, real_BS), model(ids_BS, real_BS))
        model = build_model(off, head, 3).train()
        assert torch.equal(model(ids_BS, real_BS), model(ids_BS, real_BS))


@each_compiled
def test_compiles_whole_and_once_for_all_lengths(config):
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    model = make(replace(config, layers=1))
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    for tokens in (8, 13, 21, 32):
        ids_BS, real_BS = batch(tokens)
        # As long as no other size: dynamo takes equal sizes for the same size.
        positions_M = torch.arange(tokens // 2)
        expected, actual = (f(ids_BS, real_BS, positions_M) for f in (model, compiled))
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
        actual.sum().backward()
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


def packed(ids_BS, real_BS, kernel="each"):
    """The batch without padding, and how it lies."""
    return ids_BS[real_BS][None], Packing.of(real_BS.sum(1).tolist(), ids_BS.device, kernel)


@each_family
def test_packed_rows_equal_padded_ones_in_results_and_gradients(config):
    ids_BS, real_BS = batch()
    padded, together = make(config), make(config)
    expected_TV = padded(ids_BS, real_BS)[real_BS]
    actual_TV = together(*packed(ids_BS, real_BS))[0]
    torch.testing.assert_close(actual_TV, expected_TV, atol=1e-5, rtol=0)
    weights_TV = torch.randn_like(expected_TV)
    for logits_TV in (expected_TV, actual_TV):
        (logits_TV * weights_TV).sum().backward()
    for (name, theirs), ours in zip(padded.named_parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(
            ours.grad, theirs.grad, atol=1e-4, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


@each_family
@torch.no_grad()
def test_the_fused_kernel_gives_the_same(config):
    config = replace(config, hidden=96 if config.heads == 6 else 64)  # it wants heads of 16 or more
    model = make(config)
    ids_BS, real_BS = batch()
    expected_TV = model(ids_BS, real_BS)[real_BS]
    torch.testing.assert_close(model(*packed(ids_BS, real_BS, "flex"))[0], expected_TV, atol=1e-5, rtol=0)


@each_compiled
@torch.no_grad()
def test_packed_rows_compile_whole_and_once_for_any_sequences(config):
    config = replace(config, layers=1, hidden=96 if config.heads == 6 else 64)
    model = make(config)
    ids_1T = torch.randint(5, 69, (1, 40))
    positions_M = torch.arange(6)
    packings = [
        Packing.of(lengths, ids_1T.device, "flex")
        for lengths in ([40], [10, 30], [1, 20, 19], [8, 8, 8, 8, 8])
    ]
    expected = [model(ids_1T, packing, positions_M) for packing in packings]
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend="eager")
    for packing, expected_MV in zip(packings, expected, strict=True):
        torch.testing.assert_close(compiled(ids_1T, packing, positions_M), expected_MV, atol=1e-5, rtol=0)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


@each_family
def test_recomputing_layers_changes_nothing(config):
    config = replace(config, hidden_dropout=0.3)
    ids_BS, real_BS = batch()
    gradients = []
    for recompute in (False, True):
        model = make(config).train()
        model.encoder.recompute = recompute
        torch.manual_seed(2)
        model(ids_BS, real_BS).square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert_equal_states(*gradients)


@each_family
def test_bf16_autocast_runs_near_fp32(config):
    model = make(config)
    ids_BS, real_BS = batch()
    exact = model(ids_BS, real_BS)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(ids_BS, real_BS)
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact)[real_BS].abs().mean() < 0.03 * exact[real_BS].std()


@each_family
def test_initialisation(config):
    torch.manual_seed(0)
    large = replace(config, hidden=96, heads=6, ffn=192, vocab_size=2000)
    for head in ("masked_lm", "classification", "token_classification"):
        for name, p in build_model(large, head, 40).named_parameters():
            if name.endswith("norm.weight"):
                assert (p == 1).all(), name
            elif name.endswith("bias"):
                assert (p == 0).all(), name
            elif p.numel() > 3000:
                assert p.std().item() == pytest.approx(std_of(config, name), rel=0.05), name


def std_of(config, name):
    """ModernBERT's are smaller where a layer adds to the hidden states."""
    adds = name.endswith(("attention_output.weight", "ffn_output.weight"))
    return 0.02 / (2 * config.layers) ** 0.5 if adds and config.family == "modernbert" else 0.02


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("dnabert", {"pad_id": 0}),
        ("dnabert2", {}),
        ("nt_500m", {"pad_id": 0, "mask_id": 4}),
        ("nt_v2_50m", {"pad_id": 0}),
    ],
)
def test_a_config_takes_the_ids_of_its_tokenizer(name, changed):
    config = MODELS.get(name)
    assert fit_to_tokenizer(config, TOKENIZER) == replace(config, vocab_size=69, **changed)


@pytest.mark.parametrize("name", ["dnabert2", "nt_500m", "nt_v2_50m"])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden": 30, "heads": 4}, "hidden is 30, heads is 4"),
        ({"layers": 0}, "layers must be positive"),
        ({"attention_dropout": -0.1}, "attention_dropout must be in"),
    ],
)
def test_impossible_sizes_are_refused(name, fields, message):
    with pytest.raises(CmgemsError, match=message):
        replace(MODELS.get(name), **fields)


def test_odd_heads_cannot_rotate():
    with pytest.raises(CmgemsError, match="even multiple"):
        replace(TINY["nt_v2"], hidden=36, heads=4)


def test_projected_embeddings_need_a_width():
    with pytest.raises(CmgemsError, match="embedding must be positive"):
        replace(TINY["bert"], embedding=0)
