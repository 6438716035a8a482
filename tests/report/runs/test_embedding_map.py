"""The map of the tokens."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from cmgems.errors import CheckpointError
from cmgems.models import load_model
from cmgems.pmi import PMITable
from cmgems.report.render import part_html
from cmgems.report.runs.embedding_map import embedding_map, gc_figure, principal_components, rank_figure


def test_principal_components():
    rng = np.random.default_rng(0)
    rows_ND = rng.normal(size=(50, 6)) * [5, 3, 1, 1, 1, 1] + 10
    points, explained = principal_components(rows_ND)
    covariance = np.cov(rows_ND.T)
    values, directions = np.linalg.eigh(covariance)
    assert explained == pytest.approx(tuple(values[::-1][:2] / values.sum()))
    for axis in range(2):
        direction = directions[:, -1 - axis]
        direction = direction * np.sign(direction[np.abs(direction).argmax()])
        assert points[:, axis] == pytest.approx((rows_ND - rows_ND.mean(0)) @ direction)


@pytest.fixture(scope="module")
def saved(pretrained):
    return load_model(pretrained)


def test_the_map_holds_the_kmers(saved, small_genome):
    found = embedding_map(saved)
    assert len(found.tokens) == 4096
    assert found.tokens[0] == saved.tokenizer.vocabulary()[saved.tokenizer.special_count]
    assert found.gc[found.tokens.index("GGCATA")] == 0.5
    assert found.cpg[found.tokens.index("TTTTCG")]
    assert not found.cpg[found.tokens.index("TTTTGC")]

    html = part_html(gc_figure(found, "gc"))
    shapes = re.findall(r'<path d="(M[^"]*)"[^>]*?(fill|stroke)="var\(--(?:r\d|c[12])\)', html)
    dots = sum(path.count("h0") for path, _ in shapes)
    corners = sum(path.count("M") for path, _ in shapes) - dots
    assert corners == found.cpg.sum()
    assert dots == 4096 - corners
    assert len(html) < 200_000
    assert "100 %" in html

    ranks_V = PMITable.load(small_genome.table).token_ranks(saved.tokenizer)
    assert "3,512 to 4,096" in part_html(rank_figure(found, ranks_V, "rank"))


def test_colours_follow_the_ranking(saved):
    """Were the rank the first axis itself, it would correlate fully."""
    found = embedding_map(saved)
    ranks_V = np.zeros(saved.tokenizer.vocab_size, np.int32)
    ranks_V[found.ids] = 1 + np.argsort(np.argsort(found.points[:, 0]))
    caption = rank_figure(found, ranks_V, "rank").caption
    r = float(re.search(r"most tightly bound\): r = ([\d.-]+)\.", caption)[1])
    assert r > 0.9


def test_an_embedding_that_has_learnt_nothing(saved):
    model = load_model(saved.folder)
    with torch.no_grad():
        model.model.encoder.word.weight.zero_()
    assert "r = nan" not in part_html(gc_figure(embedding_map(model), "gc"))


def test_a_model_without_a_token_embedding(saved):
    model = load_model(saved.folder)
    model.model.encoder.word = torch.nn.Linear(1, 1)
    with pytest.raises(CheckpointError, match="no token embedding"):
        embedding_map(model)
