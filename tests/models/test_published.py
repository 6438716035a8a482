"""The tables between our tensor names and the published ones."""

import pytest
import torch

from cmgems.errors import CheckpointError
from cmgems.models.published import from_published, to_published

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
    theirs = to_published(TABLE, state)
    assert set(theirs) == {
        "layer.11.self.q.weight",
        "layer.11.self.k.weight",
        "layer.11.self.v.weight",
        "embeddings.LayerNorm.bias",
        "cls.bias",
    }
    assert theirs["layer.11.self.k.weight"].tolist() == [[4, 5], [6, 7]]
    back = from_published(TABLE, theirs)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_unknown_tensors_are_named():
    with pytest.raises(CheckpointError, match=r"unknown tensors: alibi\.slopes"):
        to_published(TABLE, {"alibi.slopes": torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"unknown tensors: esm\.word"):
        from_published(TABLE, {"esm.word": torch.ones(1)})


def test_missing_part_of_a_stack_is_named():
    with pytest.raises(CheckpointError, match=r"layer\.0\.self\.v\.bias"):
        from_published(TABLE, {"layer.0.self.q.bias": torch.ones(1), "layer.0.self.k.bias": torch.ones(1)})
