"""Model folders: what is written comes back, and nothing damaged or foreign is accepted."""

import hashlib
import json
import stat

import pytest
import safetensors.torch
import torch

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models import MODELS, build_model, find_model_folder, load_model, save_model, saved
from cmgems.tokenization import TOKENIZERS

TOKENIZER = TOKENIZERS.get("kmer3")
CONFIG = MODELS.build("logo_tiny", vocab_size=TOKENIZER.vocab_size)


def save(folder, model=None, head="masked_lm", **changes):
    folder.mkdir(parents=True, exist_ok=True)
    model = CONFIG.masked_lm() if model is None else model
    options = {
        "model_name": "logo_tiny",
        "config": CONFIG,
        "head": head,
        "tokenizer_name": "kmer3",
        "tokenizer": TOKENIZER,
    }
    save_model(folder, model, **(options | changes))
    return model


def assert_equal_states(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def edit_info(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder, change):
    """Rewrite the weights with a matching checksum."""
    path = folder / "model.safetensors"
    state = safetensors.torch.load(path.read_bytes())
    change(state)
    path.write_bytes(safetensors.torch.save(state))
    edit_info(folder, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_masked_lm_round_trip(tmp_path):
    model = save(tmp_path, training={"steps": 10})
    saved = load_model(tmp_path)
    assert_equal_states(model, saved.model)
    assert (saved.config, saved.tokenizer, saved.head, saved.labels) == (CONFIG, TOKENIZER, "masked_lm", [])
    assert saved.training == {"steps": 10}
    assert not saved.model.training
    assert {p.name for p in tmp_path.iterdir()} == {"model.safetensors", "model.json"}
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) & stat.S_IRUSR


def test_classifier_round_trip(tmp_path):
    model = save(tmp_path, CONFIG.classifier(3), "classification", labels=["a", "b", "c"])
    saved = load_model(tmp_path)
    assert_equal_states(model, saved.model)
    assert saved.labels == ["a", "b", "c"]


def test_compiled_models_save_under_plain_names(tmp_path):
    model = CONFIG.masked_lm()
    compiled = torch.compile(model, backend="eager")
    compiled.encoder = torch.compile(model.encoder, backend="eager")
    save(tmp_path, compiled)
    state = load_model(tmp_path).model.state_dict()
    assert all(
        torch.equal(tensor, state[name.replace("_orig_mod.", "")])
        for name, tensor in model.state_dict().items()
    )


def test_loading_leaves_the_random_state_alone(tmp_path):
    save(tmp_path)
    before = torch.get_rng_state()
    load_model(tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_weights_that_a_file_replaces_are_not_drawn():
    before = torch.get_rng_state()
    with saved._Undrawn():
        for name in ("logo_tiny", "dnabert2_tiny", "nt_tiny", "nt_v2_tiny", "modernbert_tiny"):
            build_model(MODELS.get(name), "classification", 3)
        assert torch.nn.LayerNorm(2).weight.tolist() == [1, 1]
        fixed = torch.empty(5).normal_(
            generator=torch.Generator().manual_seed(1)
        )  # such as a buffer, not saved
    assert torch.equal(fixed, torch.empty(5).normal_(generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(torch.nn.Linear(2, 2).weight, torch.nn.Linear(2, 2).weight)


def test_finds_the_model_of_a_run(tmp_path):
    steps = [tmp_path / "checkpoints" / name for name in ("step_900", "step_1000", "step_junk")]
    for folder in steps:
        save(folder)
    assert find_model_folder(tmp_path) == steps[1]
    assert find_model_folder(steps[0]) == steps[0]
    save(tmp_path / "final")
    assert find_model_folder(tmp_path) == tmp_path / "final"
    save(tmp_path / "best")
    assert find_model_folder(tmp_path) == tmp_path / "best"
    assert find_model_folder(tmp_path / "final") == tmp_path / "final"


def test_no_model(tmp_path):
    with pytest.raises(CheckpointError, match=r"no model found .*give a run folder"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        load_model(tmp_path / "absent")


@pytest.mark.parametrize("damage", ["flip", "cut", "absent"])
def test_damaged_weights_are_refused(tmp_path, damage):
    save(tmp_path)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_model(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"head": 1}', "[" * 100_000, "\udcff"])
def test_damaged_description_is_refused(tmp_path, text):
    save(tmp_path)
    (tmp_path / "model.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=r"model\.json"):
        load_model(tmp_path)


def test_fields_of_the_wrong_type_are_refused(tmp_path):
    save(tmp_path)
    edit_info(tmp_path, labels=3)
    with pytest.raises(CheckpointError, match="not a model description"):
        load_model(tmp_path)


def test_missing_unknown_and_misshapen_tensors_are_named(tmp_path):
    save(tmp_path)
    edit_weights(tmp_path, lambda state: state.pop("head.bias"))
    with pytest.raises(CheckpointError, match=r"missing tensors.*head\.bias"):
        load_model(tmp_path)
    save(tmp_path)
    edit_weights(tmp_path, lambda state: state.update(extra=torch.ones(1)))
    with pytest.raises(CheckpointError, match=r"unknown tensors.*extra"):
        load_model(tmp_path)
    save(tmp_path)
    edit_weights(tmp_path, lambda state: state.update({"head.bias": torch.ones(7)}))
    with pytest.raises(CheckpointError, match=r"head\.bias is \[7\], not \[69\]"):
        load_model(tmp_path)


def test_models_of_plugins_and_other_versions(tmp_path):
    save(tmp_path)
    info = json.loads((tmp_path / "model.json").read_text())
    edit_info(tmp_path, model={**info["model"], "name": "logo_tinny"})
    with pytest.raises(CmgemsError, match=r"unknown model 'logo_tinny'.*'logo_tiny'.*--plugin"):
        load_model(tmp_path)
    edit_info(tmp_path, model={"name": "logo_tiny", "options": {"depth": 3}})
    with pytest.raises(CheckpointError, match="depth"):
        load_model(tmp_path)
    edit_info(tmp_path, format=2)
    with pytest.raises(CheckpointError, match="unknown format"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("layers", 1.5, "`layers` must be a whole number"),
        ("layers", None, "`layers` must be a whole number"),
        ("layers", 2**62, "fewer than layers"),
        ("max_positions", 2**31, "tensors of another shape"),
        ("max_positions", 2**70, "impossible model"),
        ("pad_id", 2**40, "impossible model"),
        ("hidden_dropout", "a half", "`hidden_dropout` must be a number"),
    ],
)
def test_impossible_options_are_refused_before_they_take_memory(tmp_path, option, value, message):
    save(tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())["model"]
    edit_info(tmp_path, model={**described, "options": {**described["options"], option: value}})
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "component", [{}, {"name": 0, "options": {}}, {"name": "kmer3"}, {"name": "kmer3", "options": []}]
)
def test_components_that_are_no_components_are_refused(tmp_path, component):
    save(tmp_path)
    edit_info(tmp_path, tokenizer=component)
    with pytest.raises(CheckpointError, match=r"model\.json"):
        load_model(tmp_path)


def test_folders_written_before_a_field_or_head_was_added(tmp_path):
    model = save(tmp_path, CONFIG.classifier(2), "classification", labels=["a", "b"])
    info = json.loads((tmp_path / "model.json").read_text())
    del info["model"]["options"]["embedding"]
    (tmp_path / "model.json").write_text(json.dumps(info))
    saved = load_model(tmp_path)
    assert saved.config == CONFIG
    assert_equal_states(model, saved.model)


def test_unknown_heads_are_refused(tmp_path):
    save(tmp_path)
    edit_info(tmp_path, head="contacts")
    with pytest.raises(CheckpointError, match="not a model description"):
        load_model(tmp_path)
