"""Pictures of PMI tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cmgems.errors import DataError
from cmgems.genome.alphabet import BASES
from cmgems.pmi.table import PMITable
from cmgems.report.figure import BLUE, GREY, SKY_BLUE, VERMILLION, save_png
from cmgems.report.logo import PICTURE_COLOURS, check_logos, draw_logo

RANK_BINS = 64


def plot_table(table: PMITable, output: Path, top: int = 100) -> list[Path]:
    """Draw the distribution of NPMI, NPMI by rank, CpG and GC content by rank, and logos of both ends.

    Args:
        table: A table.
        output: One picture if it ends in ``.png``, else a folder for one picture each.
        top: Number of k-mers in each logo; all of them if there are fewer.

    Returns:
        The files written.

    Raises:
        CmgemsError: if logomaker is not installed or a file cannot be written.
        DataError: if the table scores no k-mer.
    """
    panels = _panels(table, top)
    if output.suffix.lower() == ".png":
        figure = Figure(figsize=(14, 7), layout="constrained")
        for axes, draw in zip(figure.subplots(2, 3).flat, panels.values(), strict=True):
            draw(axes)
        save_png(figure, output)
        return [output]
    paths = []
    for name, draw in panels.items():
        figure = Figure(figsize=(6, 4), layout="constrained")
        draw(figure.add_subplot())
        paths.append(output / f"{name}.png")
        save_png(figure, paths[-1])
    return paths


def plot_ranks(first: PMITable, second: PMITable, path: Path, labels: tuple[str, str]) -> None:
    """Plot each k-mer's rank in one table and in the other, k-mers with CpG in another colour.

    Args:
        first: A table, for the horizontal axis.
        second: A table of the same k.
        path: PNG to write.
        labels: What to call the two tables.

    Raises:
        CmgemsError: if ``path`` cannot be written.
    """
    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    has_cpg = _cpg(_bases(first.k)) > 0
    for wanted, colour, label in ((False, SKY_BLUE, "without CpG"), (True, VERMILLION, "with CpG")):
        shown = has_cpg == wanted
        axes.scatter(first.rank[shown], second.rank[shown], s=2, linewidths=0, color=colour, label=label)
    axes.set_xlabel(f"rank in {labels[0]}")
    axes.set_ylabel(f"rank in {labels[1]}")
    axes.set_aspect("equal")
    axes.legend(frameon=False, markerscale=5, loc="upper left", bbox_to_anchor=(0, 1.1), ncols=2)
    _open_frame(axes)
    save_png(figure, path)


def _panels(table: PMITable, top: int) -> dict[str, Callable[[Axes], None]]:
    order = table.order()
    ranked = order[np.isfinite(table.npmi[order])]  # the scored ones, best first
    scored = len(ranked)
    if scored == 0:
        fix = "build it from more sequence or with a lower --min-count"
        raise DataError("nothing to draw", where="PMI table", why="it scores no k-mer", fix=fix)
    check_logos()
    top = min(top, scored)
    bases = _bases(table.k)[ranked]
    return {
        "distribution": partial(_draw_distribution, table.npmi[ranked]),
        "npmi_by_rank": partial(_draw_npmi, table.npmi[ranked]),
        "cpg_by_rank": partial(_draw_by_rank, _cpg(bases), "CpG a k-mer"),
        "gc_by_rank": partial(_draw_by_rank, np.mean(bases >= 2, axis=1), "GC content"),
        "logo_first": partial(_draw_logo, bases[:top], f"rank 1 to {top}"),
        "logo_last": partial(_draw_logo, bases[-top:], f"rank {scored - top + 1} to {scored}"),
    }


def _draw_distribution(npmi: npt.NDArray[np.float64], axes: Axes) -> None:
    axes.hist(npmi, bins=RANK_BINS, color=SKY_BLUE)
    axes.axvline(float(np.median(npmi)), color=GREY, linestyle=":", label="median")
    axes.set_xlabel("NPMI (nats)")
    axes.set_ylabel("k-mers")
    axes.legend(frameon=False)
    _open_frame(axes)


def _draw_npmi(npmi: npt.NDArray[np.float64], axes: Axes) -> None:
    axes.plot(np.arange(1, len(npmi) + 1), npmi, color=BLUE)
    axes.set_xlabel("rank")
    axes.set_ylabel("NPMI (nats)")
    _open_frame(axes)


def _draw_by_rank(value: npt.NDArray[np.float64], label: str, axes: Axes) -> None:
    """Mean ``value`` (of the k-mers from rank 1 on) over neighbours in rank."""
    parts = np.array_split(np.arange(len(value)), min(RANK_BINS, len(value)))
    middles = [part.mean() + 1 for part in parts]
    axes.plot(middles, [value[part].mean() for part in parts], color=BLUE)
    axes.axhline(float(value.mean()), color=GREY, linestyle=":", label="mean")
    axes.set_xlabel("rank")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _open_frame(axes)


def _draw_logo(bases: npt.NDArray[np.int64], label: str, axes: Axes) -> None:
    """Sequence logo, its axis cut to what there is: the ends of a ranking say little about single bases."""
    shares_W4 = np.stack([np.mean(bases == code, axis=0) for code in range(4)], axis=1)
    tallest = draw_logo(shares_W4, axes, PICTURE_COLOURS)
    axes.set_ylim(0, max(tallest * 1.05, 0.1))
    axes.set_title(label, fontsize="medium")
    axes.set_xlabel("position in the k-mer")


def _bases(k: int) -> npt.NDArray[np.int64]:
    """int64 [4^k, k]: the base codes (A, T, C, G = 0..3) of each k-mer, by k-mer number."""
    return np.arange(4**k)[:, None] >> 2 * np.arange(k)[::-1] & 3


def _cpg(bases: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Number of CG in each k-mer; float64 [N], of codes [N, k]."""
    cytosine, guanine = BASES.index("C"), BASES.index("G")
    pairs = (bases[:, :-1] == cytosine) & (bases[:, 1:] == guanine)
    count: npt.NDArray[np.float64] = pairs.sum(axis=1, dtype=np.float64)
    return count


def _open_frame(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
