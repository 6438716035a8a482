"""The map of the tokens: two principal components of a model's input embedding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform
from torch import nn

from cmgems.errors import CheckpointError
from cmgems.genome.alphabet import BASES
from cmgems.models import SavedModel
from cmgems.report.records import Figure, KeyEntry, Table
from cmgems.report.runs.logged import Floats
from cmgems.report.svg import inline_svg
from cmgems.report.theme import RAMP, RAMP_COLOURS, new_figure, page_style

ROUNDS = 4
# Points around the place of a token: a line of no length, which round ends make a dot, and a triangle.
DOT = np.zeros((2, 2))
TRIANGLE = np.array([[-2.4, -1.9], [2.4, -1.9], [0.0, 2.5]])


@dataclass(frozen=True)
class EmbeddingMap:
    """The tokens that consist of bases only, and their places.

    Attributes:
        ids: int64 [N] token ids.
        tokens: Their bases.
        points: float64 [N, 2].
        explained: Share of the variance on either axis.
    """

    ids: npt.NDArray[np.int64]
    tokens: list[str]
    points: Floats
    explained: tuple[float, float]

    @property
    def gc(self) -> Floats:
        """GC content of each token, float64 [N]."""
        return np.array([(token.count("G") + token.count("C")) / len(token) for token in self.tokens])

    @property
    def cpg(self) -> npt.NDArray[np.bool_]:
        """Whether each token contains CpG, bool [N]."""
        return np.array(["CG" in token for token in self.tokens])


def embedding_map(saved: SavedModel) -> EmbeddingMap:
    """Project the embedding of a model's tokens on its first two principal components.

    Raises:
        CheckpointError: if the model has no token embedding that we know of.
    """
    word = getattr(getattr(saved.model, "encoder", None), "word", None)
    if not isinstance(word, nn.Embedding):
        raise CheckpointError("no token embedding", where=saved.folder, why="the model has no `encoder.word`")
    vocabulary = saved.tokenizer.vocabulary()
    ids = np.array([i for i, token in enumerate(vocabulary) if token and set(token) <= set(BASES)])
    rows_ND = word.weight.detach()[ids].double().numpy()
    points, explained = principal_components(rows_ND)
    return EmbeddingMap(ids, [vocabulary[i] for i in ids], points, explained)


def principal_components(rows_ND: Floats) -> tuple[Floats, tuple[float, float]]:
    """The first two principal components, float64 [N, 2], and the share of the variance of each.

    An axis may point either way; here the largest entry of its direction is positive.
    """
    centred_ND = rows_ND - rows_ND.mean(0)
    left, sizes, directions = np.linalg.svd(centred_ND, full_matrices=False)
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(1)]
    points = (left * sizes * np.sign(largest))[:, :2]
    shares = sizes**2 / max(float((sizes**2).sum()), 1e-300)
    return points, (float(shares[0]), float(shares[1]))


def gc_figure(found: EmbeddingMap, name: str) -> Figure:
    """The map coloured by GC content."""
    levels = np.round(found.gc * (RAMP - 1)).astype(np.int64)
    labels = [f"{100 * level / (RAMP - 1):.0f} %" for level in range(RAMP)]
    return _figure(found, levels, labels, name, "Embedding by GC content", "GC content")


def rank_figure(found: EmbeddingMap, token_ranks_V: npt.NDArray[np.int32], name: str) -> Figure:
    """The map coloured by NPMI rank, in equal parts of the ranking."""
    order = np.argsort(np.argsort(token_ranks_V[found.ids], kind="stable"), kind="stable")
    edges = [-(-len(order) * part // RAMP) for part in range(RAMP + 1)]
    labels = [f"{first + 1:,} to {last:,}" for first, last in itertools.pairwise(edges)]
    levels = order * RAMP // len(order)
    return _figure(
        found, levels, labels, name, "Embedding by NPMI rank", "NPMI rank (1 = most tightly bound)"
    )


def _figure(
    found: EmbeddingMap,
    levels: npt.NDArray[np.int64],
    labels: Sequence[str],
    name: str,
    title: str,
    colour_label: str,
) -> Figure:
    """The points in the colours of their levels, 0 to RAMP - 1."""
    correlation = " ".join(
        f"Axis {axis + 1} and {label}: r = {r:.2f}."
        for axis, label, values in ((0, colour_label, levels), (1, "CpG", found.cpg))
        if not math.isnan(r := _correlation(found.points[:, axis], values))
    )
    with page_style():
        figure = new_figure(4.2)
        axes = figure.add_subplot()
        for axis, number, share in zip((axes.xaxis, axes.yaxis), (1, 2), found.explained, strict=True):
            axis.set_label_text(f"principal component {number} ({100 * share:.0f} % of the variance)")
        _scatter(figure, axes, found, levels)
        svg = inline_svg(
            figure,
            f"Scatter plot of {len(found.tokens):,} tokens on two principal components of the input embedding, "
            f"coloured by {colour_label}; {int(found.cpg.sum()):,} tokens with CpG are triangles. {correlation}",
        )
    key = [KeyEntry(text, f"r{i + 1}", "dot") for i, text in enumerate(labels)]
    key.append(KeyEntry("with CpG", "text", "triangle"))
    rows = [
        (
            labels[level],
            int((levels == level).sum()),
            int(found.cpg[levels == level].sum()),
            *found.points[levels == level].mean(0).tolist(),
        )
        for level in np.unique(levels)
    ]
    headings = [colour_label, "tokens", "with CpG", "mean on axis 1", "mean on axis 2"]
    caption = f"Each of the {len(found.tokens):,} tokens where the input embedding places it. {correlation}"
    return Figure(name, title, caption, svg, key, Table(headings, rows, f"{title}: the numbers"))


def _scatter(figure: Picture, axes: Axes, found: EmbeddingMap, levels: npt.NDArray[np.int64]) -> None:
    """Draw all points of a colour and shape as one path, a tenth of the size of one marker each.

    In rounds, so that no colour covers the others.
    """
    axes.update_datalim(found.points)
    axes.autoscale_view()
    figure.draw_without_rendering()  # fixes the place of the axes
    figure.set_layout_engine("none")
    places = axes.transData.transform(found.points)
    rounds = np.arange(len(places)) % ROUNDS
    for turn, level, cpg in itertools.product(range(ROUNDS), range(RAMP), (False, True)):
        chosen = places[(rounds == turn) & (levels == level) & (found.cpg == cpg)]
        shape = TRIANGLE if cpg else DOT
        corners = (chosen[:, None] + shape).reshape(-1, 2)
        codes = [Path.MOVETO, *[Path.LINETO] * (len(shape) - 1)] * len(chosen)
        colour = RAMP_COLOURS[level]
        patch = PathPatch(Path(corners, codes), facecolor=colour if cpg else "none", edgecolor=colour)
        patch.set(linewidth=0 if cpg else 2.6, capstyle="round", transform=IdentityTransform(), zorder=3)
        if len(chosen):
            axes.add_artist(patch)


def _correlation(values: Floats, others: npt.NDArray[Any]) -> float:
    """Pearson's r; NaN where either side is constant."""
    if np.ptp(values) == 0 or len(np.unique(others)) == 1:
        return float("nan")
    return float(np.corrcoef(values, others)[0, 1])
