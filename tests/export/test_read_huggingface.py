"""Published checkpoints as our models, and back."""

import json
import os
import pickle
from dataclasses import replace
from typing import get_args

import pytest
import safetensors.torch
import torch

from cmgems.cli.main import run
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.export import export_huggingface, read_huggingface
from cmgems.models import MODELS, Head, SavedModel, build_model, fit_to_tokenizer, load_model
from cmgems.models.base import UNLABELLED
from cmgems.tokenization import TOKENIZERS, write_stock

os.environ["HF_HUB_OFFLINE"] = "1"

FAMILIES = {"logo_tiny": "kmer6", "dnabert2_tiny": "nt_v2", "nt_tiny": "nt_v1", "nt_v2_tiny": "nt_v2"}
HEADS = get_args(Head)


def saved_model(folder, name, head="masked_lm", tokenizer_name=None):
    torch.manual_seed(0)
    tokenizer_name = tokenizer_name or FAMILIES[name]
    tokenizer = TOKENIZERS.get(tokenizer_name)
    config = fit_to_tokenizer(MODELS.get(name), tokenizer)
    labels = [] if head in UNLABELLED else ["no", "yes"]
    return SavedModel(
        model=build_model(config, head, 2).eval(),
        model_name=name,
        config=config,
        head=head,
        tokenizer_name=tokenizer_name,
        tokenizer=tokenizer,
        labels=labels,
        training={},
        folder=folder,
    )


def same(ours, theirs):
    ours, theirs = ours.model.state_dict(), theirs.model.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def folder(tmp_path):
    """A DNABERT-like masked LM as a Hugging Face folder."""
    export_huggingface(saved_model(tmp_path, "logo_tiny"), tmp_path / "hf")
    return tmp_path / "hf"


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", FAMILIES)
def test_export_and_import_are_inverse(tmp_path, name, head):
    saved = saved_model(tmp_path, name, head)
    export_huggingface(saved, tmp_path / "hf")
    assert run(["import", str(tmp_path / "hf"), "-o", str(tmp_path / "ours")]) == 0
    back = load_model(tmp_path / "ours")
    assert (back.config, back.head, back.labels, back.tokenizer) == (
        saved.config,
        saved.head,
        saved.labels,
        saved.tokenizer,
    )
    assert same(back, saved)
    export_huggingface(back, tmp_path / "again")
    files = [(tmp_path / place / "model.safetensors").read_bytes() for place in ("hf", "again")]
    assert files[0] == files[1]


def test_bpe_comes_from_the_tokenizer_file(tmp_path, small_bpe):
    tokenizer = TOKENIZERS.build("bpe", file=small_bpe)
    config = fit_to_tokenizer(MODELS.get("dnabert2_tiny"), tokenizer)
    saved = replace(
        saved_model(tmp_path, "dnabert2_tiny"),
        model=config.masked_lm(),
        config=config,
        tokenizer=tokenizer,
        tokenizer_name="bpe",
    )
    export_huggingface(saved, tmp_path / "hf")
    back = read_huggingface(tmp_path / "hf")
    assert back.tokenizer_name == "bpe"
    sequence = "ACGTNACGTTGCAACGGTTAACC"
    assert back.tokenizer.encode(sequence).tolist() == tokenizer.encode(sequence).tolist()
    assert same(back, saved)


@pytest.mark.parametrize("name", ["dnabert2_tiny", "nt_v2_tiny"])
def test_plain_transformers_refuses_what_it_cannot_hold(tmp_path, name):
    transformers = pytest.importorskip("transformers")
    saved = saved_model(tmp_path, name)
    export_huggingface(saved, tmp_path / "hf")
    with pytest.raises(ValueError, match="model type"):
        transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "hf")
    card = (tmp_path / "hf" / "README.md").read_text()
    assert "Plain transformers has no class for this family" in card
    code = card.split("```python\n")[1].split("```")[0].replace("path/to/this/folder", str(tmp_path / "hf"))
    exec(code, scope := {})
    assert scope["logits"].shape[-1] == saved.config.vocab_size


@pytest.mark.parametrize(
    ("name", "kind"),
    [("logo_tiny", "BertForMaskedLM"), ("logo_tiny", "BertForPreTraining"), ("nt_tiny", "EsmForMaskedLM")],
)
def test_what_transformers_wrote(tmp_path, name, kind):
    transformers = pytest.importorskip("transformers")
    saved = saved_model(tmp_path, name)
    config_class = transformers.EsmConfig if name == "nt_tiny" else transformers.BertConfig
    theirs = getattr(transformers, kind)(config_class(**saved.config.huggingface_config("masked_lm"))).eval()
    theirs.save_pretrained(tmp_path / "hf")
    write_stock(saved.tokenizer, tmp_path / "hf")
    ours = read_huggingface(tmp_path / "hf")
    ids_BS = torch.from_numpy(ours.tokenizer.encode("ACGTACGTTGCAACGGTTAACC")).long()[None]
    output = theirs(ids_BS)
    logits = output.prediction_logits if kind == "BertForPreTraining" else output.logits
    torch.testing.assert_close(ours.model(ids_BS), logits, atol=1e-5, rtol=0)


def test_the_published_configs(shared_data, tmp_path):
    for file, name in (("dnabert2_config.json", "dnabert2"), ("nt_v2_config.json", "nt_v2_500m")):
        info = json.loads((shared_data / "reference" / file).read_text())
        preset = MODELS.get(name)
        assert type(preset).read_huggingface_config(info) == preset


def test_shards_and_bin_files(folder):
    expected = read_huggingface(folder)
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(names)}
    for shard in set(weight_map.values()):
        part = {name: tensors[name] for name in names if weight_map[name] == shard}
        safetensors.torch.save_file(part, folder / shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert same(read_huggingface(folder), expected)
    index.unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert same(read_huggingface(folder), expected)


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


def damage_half(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def damage_pickle(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))


def damage_bin(size):
    def damage(folder):
        torch.save(safetensors.torch.load_file(folder / "model.safetensors"), folder / "whole.bin")
        (folder / "pytorch_model.bin").write_bytes((folder / "whole.bin").read_bytes()[:size])
        (folder / "model.safetensors").unlink()

    return damage


def damage_tensors(change):
    def damage(folder):
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        change(tensors)
        safetensors.torch.save_file(tensors, folder / "model.safetensors")

    return damage


def damage_config(**changes):
    def damage(folder):
        path = folder / "config.json"
        info = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in info.items() if value is not None}))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_half, "damaged weights"),
        (damage_pickle, "would run code"),
        (damage_bin(0), "damaged weights"),
        (damage_bin(5000), "damaged weights"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot read"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (damage_config(model_type="llama"), "unknown model family"),
        (damage_config(hidden_act="gelu_new"), "hidden_act is 'gelu_new'"),
        (damage_config(hidden_size=None), "no 'hidden_size'"),
        (damage_config(vocab_size=4096), "wrong vocabulary size"),
        (damage_tensors(lambda t: t.pop("cls.predictions.bias")), "missing tensors"),
        (damage_tensors(lambda t: t.update(extra=torch.ones(1))), "unknown tensors"),
        (
            damage_tensors(lambda t: t.update({"cls.predictions.bias": torch.ones(7)})),
            "tensors of another shape",
        ),
        (
            lambda folder: [(folder / name).unlink() for name in ("vocab.txt", "tokenizer.json")],
            "no tokenizer",
        ),
    ],
)
def test_bad_folders_are_one_line_and_nothing_is_written(
    folder, tmp_path, damage, message, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    damage(folder)
    with pytest.raises(CmgemsError, match=message):
        read_huggingface(folder)
    assert run(["import", str(folder), "-o", str(tmp_path / "ours")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "ours").exists()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("problem", "outputs", "head"),
    [
        (None, 1, "regression"),
        ("single_label_classification", 1, "classification"),
        (None, 2, "classification"),
    ],
)
def test_one_output_is_a_quantity(tmp_path, problem, outputs, head):
    saved = saved_model(tmp_path, "logo_tiny", "classification")
    saved = replace(saved, model=saved.config.classifier(outputs), labels=["a", "b"][:outputs])
    export_huggingface(saved, tmp_path / "hf")
    damage_config(problem_type=problem)(tmp_path / "hf")
    assert read_huggingface(tmp_path / "hf").head == head


def test_the_tokenizer_may_be_named(folder):
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer.json").unlink()
    assert read_huggingface(folder, "kmer6").tokenizer_name == "kmer6"
    with pytest.raises(CheckpointError, match="wrong vocabulary size"):
        read_huggingface(folder, "kmer5")
