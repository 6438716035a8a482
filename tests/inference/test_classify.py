"""Class logits of long sequences: the mean of their windows'."""

import numpy as np
import pytest
import torch
from torch import nn

from cmgems.inference import class_logits


class Counter(nn.Module):
    """Logits: the number of tokens, and the mean id."""

    def forward(self, ids_BS, attention_BS=None):
        real = torch.ones_like(ids_BS) if attention_BS is None else attention_BS.long()
        return torch.stack([real.sum(1).float(), (ids_BS * real).sum(1) / real.sum(1)], dim=1)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_mean_of_the_windows_in_the_order_of_the_sequences(short, compute, named, batch_size):
    done = []
    logits_NC = class_logits(Counter(), named, short, compute, batch_size, done.append)
    assert logits_NC.dtype == np.float32
    for sequence, row_C in zip(named, logits_NC, strict=True):
        rows = [piece.ids_S for piece in short.pieces(0, sequence.codes)]
        expected = [np.mean([len(r) for r in rows]), np.mean([r.mean() for r in rows])]
        assert row_C == pytest.approx(expected, rel=1e-5)
    assert sum(done) == sum(len(s.codes) for s in named)


def test_one_window_is_the_model_itself(whole, compute, named):
    logits_NC = class_logits(Counter(), named, whole, compute, 8, lambda _: None)
    ids_1S = torch.from_numpy(whole.encode(named[0].codes)).long()[None]
    assert torch.equal(torch.from_numpy(logits_NC[:1]), Counter()(ids_1S))
