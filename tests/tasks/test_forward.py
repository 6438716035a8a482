"""Batches by tokens: how many rows go together, what happens when memory is short, and that it changes nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.tasks.forward import TokenBudget, forward_passes
from cmgems.tokenization import TOKENIZERS
from cmgems.training import Compute, ComputeConfig, start_compute

CPU = start_compute(ComputeConfig(device="cpu", precision="fp32"), seed=0)
TOKENIZER = TOKENIZERS.get("kmer3")


def echo(_, ids_BS, attention_BS):
    """The sum of the ids of each row, and how many they are."""
    real_BS = torch.ones_like(ids_BS) if attention_BS is None else attention_BS.long()
    return torch.stack([(ids_BS * real_BS).sum(1), real_BS.sum(1)], 1)


def passed(rows, budget, call=echo):
    return list(forward_passes(rows, call, TOKENIZER, 512, CPU, budget))


@given(lengths=st.lists(st.integers(2, 60), min_size=1, max_size=40), tokens=st.integers(1, 300))
def test_any_budget_gives_every_row_its_own_answer(lengths, tokens):
    rows = [np.arange(7, 7 + length, dtype=np.int32) for length in lengths]
    found = {}
    for chosen, answers in passed(rows, TokenBudget(CPU, tokens)):
        width = max(lengths[i] for i in chosen)
        assert len(chosen) == 1 or len(chosen) * width <= tokens
        found |= dict(zip(chosen, answers.tolist(), strict=True))
    assert [found[i] for i in range(len(rows))] == [[row.sum(), len(row)] for row in rows]


class Ahead(Compute):
    """A CPU that is treated as a GPU: the answers of a batch are read when the next is under way."""

    steps_ahead = 1


def test_answers_are_read_one_batch_late():
    rows = [np.full(10, number, np.int32) for number in range(7, 12)]
    called, read = [], []

    def call(chosen, ids_BS, attention_BS):
        called.append(chosen)
        return echo(chosen, ids_BS, attention_BS)

    ahead = Ahead(CPU.device, bf16=False, compiled=False)
    for chosen, answers in forward_passes(rows, call, TOKENIZER, 512, ahead, TokenBudget(ahead, 20)):
        read.append((chosen, len(called)))
        assert answers[:, 0].tolist() == [10 * (7 + i) for i in chosen]
    assert read == [([0, 1], 2), ([2, 3], 3), ([4], 3)]


def test_short_rows_go_many_at_a_time_and_long_ones_few():
    rows = [np.full(length, 7, np.int32) for length in [32] * 300 + [512] * 25]
    sizes = [len(chosen) for chosen, _ in passed(rows, TokenBudget(CPU))]
    assert sizes == [160, 140, 10, 10, 5]


def test_a_row_alone_has_no_mask_and_unequal_ones_have():
    seen = []
    rows = [np.full(length, 7, np.int32) for length in (4, 4, 6)]

    def call(chosen, ids_BS, attention_BS):
        seen.append((len(chosen), attention_BS is None))
        return ids_BS

    for tokens in (8, 18):
        passed(rows, TokenBudget(CPU, tokens), call)
    assert seen == [(2, True), (1, True), (3, False)]


def test_short_memory_halves_the_tokens_from_there_on(capsys):
    """A machine that takes 100 tokens at a time: as many rows as before, in smaller batches, said in lines."""
    rows = [np.full(20, number, np.int32) for number in range(7, 47)]

    def call(chosen, ids_BS, attention_BS):
        if ids_BS.numel() > 100:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore words")
        return echo(chosen, ids_BS, attention_BS)

    budget = TokenBudget(CPU, 400)
    found = passed(rows, budget, call)
    assert [len(chosen) for chosen, _ in found] == [5] * 8
    assert sorted(i for chosen, _ in found for i in chosen) == list(range(40))
    assert (budget.first, budget.tokens) == (400, 100)
    assert capsys.readouterr().err.splitlines() == [
        "memory is short: 200 tokens at a time from here on",
        "memory is short: 100 tokens at a time from here on",
    ]


def test_too_little_memory_for_one_row_is_one_line():
    def call(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore words")

    with pytest.raises(
        CmgemsError, match=r"out of memory in one row of 20 tokens: CUDA .* 2 GiB\.; choose"
    ) as caught:
        passed([np.full(20, 7, np.int32)] * 3, TokenBudget(CPU, 40), call)
    assert "\n" not in caught.value.line()


def test_other_errors_pass():
    def call(*_):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        passed([np.full(20, 7, np.int32)], TokenBudget(CPU), call)
