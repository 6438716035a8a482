"""Attention and importance along sequences, and attention maps, as a page and as pictures.

Shape suffixes: L bases, S tokens of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Picture

from cmgems.inference import AttentionMaps, ExplainedSequence
from cmgems.report import render
from cmgems.report.figure import BLUE, GREY, VERMILLION, save_png
from cmgems.report.records import Figure, Grid, Letter, Letters, Page, Paragraph, Part, Section
from cmgems.report.svg import inline_svg
from cmgems.report.theme import COLOURS, DIM, WIDTH, new_figure, page_style

LETTERS_BP = 1000
POINTS = 1200
PANELS_A_ROW = 4
HIGHEST_NAMED = 3
FADED = 5  # percent: weaker letters have no colour
STRONGEST = 55  # percent: stronger colour would make a letter hard to read

# From clear to a blue that shows on white and on black.
_HEAT = LinearSegmentedColormap.from_list("heat", [(0.16, 0.53, 0.78, 0.0), (0.16, 0.53, 0.78, 1.0)])
Values = npt.NDArray[np.float64]


def in_words(sequence: ExplainedSequence) -> str:
    """Where attention and importance are highest."""
    parts = [f"Attention is highest at {_highest(sequence.attention_L)}."]
    if sequence.importance_L is not None:
        parts.append(f"Importance is highest at {_highest(sequence.importance_L)}.")
    return " ".join(parts)


def write_pictures(folder: Path, number: int, sequence: ExplainedSequence) -> None:
    """Write the figures of one sequence as PNG files, ``number`` in their names."""
    figure = Picture(figsize=(8, 4.2), layout="constrained")
    _draw_tracks(figure, sequence, (BLUE, VERMILLION), GREY)
    save_png(figure, folder / f"{number}_bases.png")
    if sequence.maps is not None:
        figure = Picture(figsize=(8, 8 / WIDTH * _maps_height(sequence.maps)), layout="constrained")
        _draw_maps(figure, sequence.maps)
        save_png(figure, folder / f"{number}_maps.png")


def write_page(path: Path, title: str, notes: Sequence[str], sequences: Sequence[ExplainedSequence]) -> None:
    """Write one self-contained page about sequences.

    Args:
        path: HTML to write.
        title: Of the page.
        notes: Lines under it.
        sequences: In their order.
    """
    sections = [_section(f"sequence{i}", sequence) for i, sequence in enumerate(sequences, start=1)]
    render.write_page(Page("explain", title, sections, [Paragraph(note) for note in notes]), path)


def _section(name: str, sequence: ExplainedSequence) -> Section:
    with page_style():
        figure = new_figure(3.6 if sequence.importance_L is not None else 2.0)
        _draw_tracks(figure, sequence, COLOURS, DIM)
        tracks = inline_svg(figure, in_words(sequence))
    caption = "Attention: 1 is even attention."
    if sequence.importance_L is not None:
        caption += f" Importance: {sequence.meaning}."
    figures = [Figure(f"{name}-bases", "Base by base", caption, tracks)]
    if sequence.maps is not None:
        figures.append(_maps_figure(f"{name}-maps", sequence.maps))
    parts: list[Part] = [Paragraph(sequence.note)] if sequence.note else []
    if len(sequence.bases) <= LETTERS_BP:
        parts.append(letters(sequence))
    return Section(name, sequence.name, [*parts, Grid(figures)])


def letters(sequence: ExplainedSequence) -> Letters:
    """The bases, coloured by importance, or by attention above even if there is none."""
    if sequence.importance_L is None:
        weights_L = np.nan_to_num(sequence.attention_L - 1).clip(0)
    else:
        weights_L = np.nan_to_num(sequence.importance_L - sequence.level)
    percent_L = np.rint(STRONGEST * weights_L / max(np.abs(weights_L).max(), 1e-12)).astype(int)
    return Letters([_letter(base, of) for base, of in zip(sequence.bases, percent_L.tolist(), strict=True)])


def _letter(base: str, percent: int) -> Letter:
    if abs(percent) < FADED:
        return Letter(base)
    return Letter(base, "up" if percent > 0 else "down", percent=abs(percent))


def _draw_tracks(figure: Picture, sequence: ExplainedSequence, colours: Sequence[str], line: str) -> None:
    """Attention above, importance below, over the position."""
    rows = 1 if sequence.importance_L is None else 2
    panels: list[Axes] = list(figure.subplots(rows, 1, sharex=True, squeeze=False).flat)
    _draw_track(panels[0], sequence.attention_L, 0.0, colours[0], colours[0])
    panels[0].axhline(1, color=line, linestyle=":", linewidth=1)
    panels[0].set_ylabel("attention")
    if sequence.importance_L is not None:
        _draw_track(panels[1], sequence.importance_L, sequence.level, colours[1], colours[0])
        panels[1].axhline(sequence.level, color=line, linewidth=0.8)
        panels[1].set_ylabel("importance")
    panels[-1].set_xlabel("position (bp)")
    panels[-1].set_xlim(0.5, len(sequence.bases) + 0.5)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.align_ylabels(panels)


def _draw_track(axes: Axes, values_L: Values, level: float, above: str, below: str) -> None:
    """Filled steps from ``level``; long sequences as means over neighbours."""
    parts = np.array_split(values_L, min(len(values_L), POINTS))
    means = [part[~np.isnan(part)].mean() if not np.isnan(part).all() else np.nan for part in parts]
    edges = 0.5 + np.cumsum([0, *map(len, parts)])
    tops = np.array([*means, means[-1]])
    for colour, high in ((above, np.fmax(tops, level)), (below, np.fmin(tops, level))):
        axes.fill_between(edges, level, high, step="post", color=colour, linewidth=0)


def _panels(maps: AttentionMaps) -> list[tuple[str, npt.NDArray[np.float32]]]:
    layers = [(f"layer {n}", map_SS) for n, map_SS in enumerate(maps.layers_NSS, start=1)]
    return [*layers, *((f"layer {maps.layer}, head {h}", m) for h, m in enumerate(maps.heads_HSS, start=1))]


def _maps_height(maps: AttentionMaps) -> float:
    return 0.4 + WIDTH / PANELS_A_ROW * 1.12 * -(-len(_panels(maps)) // PANELS_A_ROW)


def _maps_figure(name: str, maps: AttentionMaps) -> Figure:
    tokens, heads = maps.layers_NSS.shape[-1], len(maps.heads_HSS)
    words = f"{len(_panels(maps))} maps of the attention of {tokens} tokens to each other."
    with page_style():
        figure = new_figure(_maps_height(maps))
        _draw_maps(figure, maps)
        svg = inline_svg(figure, words)
    caption = (
        f"Every layer as the mean over its heads, then the {heads} heads of layer {maps.layer}. A row is a token that "
        "attends, a column one that it attends to, [CLS] first; the darkest cell of each map is its largest share."
    )
    return Figure(name, "Token by token", caption, svg)


def _draw_maps(figure: Picture, maps: AttentionMaps) -> None:
    panels = _panels(maps)
    rows = -(-len(panels) // PANELS_A_ROW)
    grid = list(figure.subplots(rows, PANELS_A_ROW, squeeze=False).flat)
    for axes, (title, map_SS) in zip(grid, panels, strict=False):
        axes.imshow(map_SS, cmap=_HEAT, vmin=0, vmax=float(map_SS.max()), interpolation="none")
        axes.set_title(title, fontsize="small")
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in grid[len(panels) :]:
        axes.set_axis_off()


def _highest(values_L: Values) -> str:
    order = np.argsort(-np.nan_to_num(values_L, nan=-np.inf), kind="stable")[:HIGHEST_NAMED]
    return ", ".join(f"{i + 1:,}" for i in sorted(order.tolist()))
