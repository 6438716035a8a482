"""The key tables between our tensor names and others'."""

import pytest
import torch

from cmgems.errors import CheckpointError
from cmgems.models.base import apply_key_table, few, reverse_key_table

TABLE = {
    "layers.N.qkv": ("layer.N.self.q", "layer.N.self.k", "layer.N.self.v"),
    "encoder.norm": ("embeddings.LayerNorm",),
    "head": ("cls",),
}


def test_table_renames_and_unstacks():
    state = {
        "layers.11.qkv.weight": torch.arange(12.0).view(6, 2),
        "encoder.norm.bias": torch.ones(3),
        "head.bias": torch.zeros(2),
    }
    theirs = apply_key_table(TABLE, state)
    assert set(theirs) == {
        "layer.11.self.q.weight",
        "layer.11.self.k.weight",
        "layer.11.self.v.weight",
        "embeddings.LayerNorm.bias",
        "cls.bias",
    }
    assert theirs["layer.11.self.k.weight"].tolist() == [[4, 5], [6, 7]]
    back = reverse_key_table(TABLE, theirs)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_unmapped_tensors_are_named():
    with pytest.raises(CheckpointError, match=r"unmapped tensors: alibi\.slopes"):
        apply_key_table(TABLE, {"alibi.slopes": torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"unmapped tensors: esm\.word"):
        reverse_key_table(TABLE, {"esm.word": torch.ones(1)})


def test_missing_part_of_a_stack_is_named():
    with pytest.raises(CheckpointError, match=r"layer\.0\.self\.v\.bias"):
        reverse_key_table(TABLE, {"layer.0.self.q.bias": torch.ones(1), "layer.0.self.k.bias": torch.ones(1)})


def test_few_names():
    assert few(["b", "a"]) == "a, b"
    assert few(list("abcdef")) == "a, b, c, d and 2 more"
