"""The pipeline with tokens that do not overlap: rows are no wider than they need be, and never too long."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmgems.config import Component
from cmgems.data import LabelledConfig, read_splits
from cmgems.errors import CmgemsError
from cmgems.genome import Split
from cmgems.masking import Masker, MaskingConfig
from cmgems.pretraining import GenomeData, PretrainingData
from cmgems.tokenization import TOKENIZERS, BpeTokenizer, Tokenizer

NAMES = ["base", "nt_v1", "nt_v2", "bpe"]


def tokenizer_of(name: str, small_bpe: Path) -> Tokenizer:
    return BpeTokenizer(small_bpe) if name == "bpe" else TOKENIZERS.get(name)


def data_of(small_genome, tokenizer, *, max_bp=300, max_positions=512, pad_multiple=8):
    config = GenomeData(
        store=small_genome.store,
        sampler=Component("tiled", {"max_bp": max_bp}),
        split=Split(fraction=0.1, block_bp=2000),
        pad_multiple=pad_multiple,
    )
    return PretrainingData(config, tokenizer, max_positions, seed=3)


def stream_of(small_genome, tokenizer, name="random_span"):
    masking = MaskingConfig(Component("fixed", {"masking": name}), small_genome.table)
    masker = Masker(masking, tokenizer, steps=50, seed=3)
    return data_of(small_genome, tokenizer).stream(masker, 4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pad_multiple", [1, 8, 64])
def test_rows_are_as_narrow_as_they_can_be(small_genome, small_bpe, name, pad_multiple):
    tokenizer = tokenizer_of(name, small_bpe)
    data = data_of(small_genome, tokenizer, pad_multiple=pad_multiple)
    batches = list(data.sample_ids(30_000))
    assert len(batches) > 5
    for ids_BS in batches:
        longest = int((ids_BS != tokenizer.pad_id).sum(axis=1).max())
        assert ids_BS.shape[1] == -(-longest // pad_multiple) * pad_multiple
        assert ids_BS.flags.c_contiguous


@pytest.mark.parametrize("name", NAMES)
def test_rows_hold_every_base_of_their_windows(small_genome, small_bpe, name):
    tokenizer = tokenizer_of(name, small_bpe)
    data = data_of(small_genome, tokenizer)
    starts_N, lengths_N = data.epoch_windows(0)
    genome = "".join("ATCG"[code] if code < 4 else "N" for code in data.store.codes)
    rows = [row for ids_BS in data.sample_ids(5_000) for row in ids_BS]
    for row, start, length in zip(rows, starts_N, lengths_N, strict=False):
        assert tokenizer.decode(row) == genome[start : start + length]


@pytest.mark.parametrize("name", NAMES)
def test_windows_that_might_not_fit_are_refused(small_genome, small_bpe, name):
    tokenizer = tokenizer_of(name, small_bpe)
    fits = tokenizer.bases_for(40)
    data_of(small_genome, tokenizer, max_bp=fits, max_positions=40)
    with pytest.raises(
        CmgemsError, match=rf"make up to 41 tokens in data\.sampler\.max_bp: .*max_bp={fits} or less"
    ):
        data_of(small_genome, tokenizer, max_bp=fits + 1, max_positions=40)


@pytest.mark.parametrize(
    ("name", "strategy"), [("base", "global_pmi"), ("nt_v2", "global_pmi"), ("bpe", "random_span")]
)
@pytest.mark.parametrize("done", [1, 30])
def test_resume_is_exact(small_genome, small_bpe, name, strategy, done):
    tokenizer = tokenizer_of(name, small_bpe)
    stream = stream_of(small_genome, tokenizer, strategy)
    stream.reset()
    for _ in range(done):
        next(stream)
    state = json.loads(json.dumps(stream.state_dict()))
    expected = [next(stream) for _ in range(10)]
    resumed = stream_of(small_genome, tokenizer, strategy)
    resumed.reset(state)
    for batch in expected:
        again = next(resumed)
        assert np.array_equal(batch.ids_BS, again.ids_BS)
        assert np.array_equal(batch.positions_M, again.positions_M)


def test_masks_do_not_depend_on_the_padding(small_genome, small_bpe):
    tokenizer = BpeTokenizer(small_bpe)
    masker = Masker(MaskingConfig(Component("fixed", {"masking": "random_span"})), tokenizer, 50, 3)
    narrow, wide = (
        next(iter(data_of(small_genome, tokenizer, pad_multiple=multiple).sample_ids(1)))
        for multiple in (1, 512)
    )
    assert narrow.shape[1] < wide.shape[1] == 512
    samples_B = np.arange(len(narrow), dtype=np.uint64)
    masked = [masker.mask(ids_BS, samples_B, 0) for ids_BS in (narrow, wide)]
    assert np.array_equal(masked[0].ids_BS, masked[1].ids_BS[:, : narrow.shape[1]])
    assert np.array_equal(masked[0].labels_M, masked[1].labels_M)


@pytest.mark.parametrize("name", NAMES)
def test_labelled_sequences_are_cut_to_tokens(small_bpe, tmp_path, name):
    tokenizer = tokenizer_of(name, small_bpe)
    long, ambiguous = "ACGTTAGGCATC" * 20, "ACGTAC" + "N" * 30
    text = f"sequence,label\n{long},0\n{ambiguous},1\nACGTAC,1\n"
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(text)
    train = read_splits(LabelledConfig(dir=tmp_path), tokenizer, 20)["train"]
    assert train.cut == 2
    assert [len(ids) for ids in train.ids] == [20, 20, len(tokenizer.encode("ACGTAC"))]
    assert long.startswith(tokenizer.decode(train.ids[0]))
    ends = tokenizer.sep_id if name == "bpe" else tokenizer.encode("N")[-1]
    assert train.ids[1][-1] == ends
