"""Logits come back in the order of the rows, whatever was batched with what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmgems.errors import CmgemsError
from cmgems.tasks import activate, predict_logits
from cmgems.tokenization import TOKENIZERS
from cmgems.training import ComputeConfig, start_compute

TOKENIZER = TOKENIZERS.get("kmer3")
ROWS = [TOKENIZER.encode("ACGT" * n) for n in (9, 2, 5, 2, 30)]


class Echo(nn.Module):
    """The ids themselves, and how many are no padding: of every token, or summed over the row."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def forward(self, ids_BS, attention_BS=None):
        assert not self.training
        real_BS = torch.ones_like(ids_BS) if attention_BS is None else attention_BS.long()
        echo_BSC = torch.stack([ids_BS * real_BS, real_BS], -1).float()
        return echo_BSC if self.tokens else echo_BSC.sum(1)


def test_answers_that_are_not_finite_are_refused():
    compute = start_compute(ComputeConfig(device="cpu", precision="fp32"), seed=0)
    diverged = nn.Module()
    diverged.forward = lambda ids_BS, attention_BS: torch.full((len(ids_BS), 2), torch.nan)
    with pytest.raises(CmgemsError, match="answers are not finite"):
        predict_logits(diverged, ROWS, TOKENIZER, 512, compute)


@pytest.mark.parametrize("batch_tokens", [1, 30, None])
def test_in_the_order_of_the_rows(batch_tokens):
    compute = start_compute(ComputeConfig(device="cpu", precision="fp32"), seed=0)
    done = []
    logits_NC = predict_logits(Echo(False), ROWS, TOKENIZER, 512, compute, batch_tokens, done.append)
    assert logits_NC.dtype == np.float32
    assert logits_NC.tolist() == [[row.sum(), len(row)] for row in ROWS]
    assert sum(done) == len(ROWS)
    of_tokens = predict_logits(Echo(True), ROWS, TOKENIZER, 512, compute, batch_tokens)
    assert of_tokens[:, 0].tolist() == np.concatenate(ROWS).tolist()
    assert of_tokens[:, 1].all()


def test_what_logits_mean():
    logits_NC = np.float32([[0, 1], [2, -3]])
    assert activate(logits_NC, "regression") is logits_NC
    odds = np.exp(logits_NC)
    for head in ("classification", "token_classification"):
        assert activate(logits_NC, head) == pytest.approx(odds / odds.sum(1, keepdims=True))
    assert activate(logits_NC, "multi_label") == pytest.approx(odds / (1 + odds))
