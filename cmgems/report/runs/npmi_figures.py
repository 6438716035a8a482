"""Pictures of NPMI: of all k-mers, and of what the phases of a run mask."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cmgems.pmi import PMITable
from cmgems.pmi.definitions import kmer
from cmgems.report.records import Figure, KeyEntry, Table, cell_text
from cmgems.report.runs.charts import PHASE_COLOURS
from cmgems.report.runs.logged import Floats
from cmgems.report.runs.phase_masks import PhaseMask
from cmgems.report.svg import inline_svg
from cmgems.report.theme import COLOURS, DIM, new_figure, page_style, percent

BINS = 40


def table_figure(table: PMITable, name: str) -> Figure:
    """The distribution of NPMI over the k-mers of the table, those with CpG in another colour."""
    scored = np.isfinite(table.npmi)
    cpg = np.array(["CG" in kmer(number, table.k) for number in range(4**table.k)])
    edges = np.linspace(table.npmi[scored].min(), table.npmi[scored].max(), BINS + 1)
    parts = {
        f"{table.k}-mers without CpG": table.npmi[scored & ~cpg],
        f"{table.k}-mers with CpG": table.npmi[scored & cpg],
    }
    counts = [np.histogram(npmi, edges)[0] for npmi in parts.values()]
    median = float(np.median(table.npmi[scored]))
    with page_style():
        figure = new_figure()
        axes = figure.add_subplot()
        axes.hist(list(parts.values()), bins=edges.tolist(), stacked=True, color=[COLOURS[0], COLOURS[1]])
        axes.set_xlabel("NPMI (nats)")
        axes.set_ylabel(f"{table.k}-mers")
        svg = inline_svg(
            figure,
            f"Histogram of the NPMI of {scored.sum():,} {table.k}-mers, from {edges[0]:.3f} to {edges[-1]:.3f}, median "
            f"{median:.3f}. {np.count_nonzero(scored & cpg):,} of them contain CpG.",
        )
    key = [KeyEntry(label, f"c{number + 1}", "area") for number, label in enumerate(parts)]
    caption = (
        f"How tightly the bases of each {table.k}-mer are bound in the PMI table (definition {table.definition}); "
        f"the median is {median:.3f}."
    )
    title = f"NPMI of the {table.k}-mers"
    numbers = Table(["NPMI", *parts], _bins(edges, counts), f"{title}: the numbers")
    return Figure(name, title, caption, svg, key, numbers)


def masks_figure(masks: list[PhaseMask], name: str) -> Figure:
    """The NPMI of the tokens that each phase hides, compared with all tokens."""
    scored = np.concatenate([mask.npmi_M for mask in masks])
    edges = np.linspace(scored.min(), scored.max(), BINS + 1)
    shares = [np.histogram(mask.npmi_M, edges)[0] / max(1, len(mask.npmi_M)) for mask in masks]
    key = []
    with page_style():
        figure = new_figure()
        axes = figure.add_subplot()
        for place, (mask, share) in enumerate(zip(masks, shares, strict=True)):
            if mask.number < 0:
                axes.stairs(share, edges, fill=True, color=DIM, alpha=0.3)
                key.append(KeyEntry(mask.label, "dim", "area", opacity=0.3))
                continue
            colour = PHASE_COLOURS[mask.number % len(PHASE_COLOURS)]
            later = mask.number == masks[place - 1].number  # the same strategy, further on
            axes.stairs(share, edges, color=COLOURS[colour], linewidth=1.8, linestyle="--" if later else "-")
            dashes = "5 3" if later else ""
            key.append(KeyEntry(f"masked by {mask.label}", f"c{colour + 1}", dashes=dashes))
        axes.set_xlabel("NPMI (nats)")
        axes.set_ylabel("share of these tokens")
        axes.yaxis.set_major_formatter(percent())
        words = "Histograms of NPMI. " + " ".join(
            f"{mask.label}: {len(mask.ranks_M):,} tokens, mean NPMI {cell_text(_mean(mask.npmi_M))}."
            for mask in masks
        )
        svg = inline_svg(figure, words)
    title = "NPMI of what each phase masks"
    caption = (
        f"The same {len(masks[0].ranks_M):,} tokens of training windows, masked as each phase of this run masks. "
        "The further to the right of the grey area, the more tightly bound the hidden tokens."
    )
    headings = ["NPMI", *(mask.label for mask in masks)]
    numbers = Table(headings, _bins(edges, shares), f"{title}: the numbers")
    return Figure(name, title, caption, svg, key, numbers)


def masks_table(masks: list[PhaseMask]) -> Table:
    """The figures of each phase."""
    ranked = np.unique(masks[0].ranks_M)
    limit = ranked[(len(ranked) - 1) // 10]
    rows = [
        (
            mask.label,
            round(100 * mask.share, 1),
            _mean(mask.npmi_M),
            _mean(mask.ranks_M),
            round(100 * _mean(mask.ranks_M <= limit), 1),
        )
        for mask in masks
    ]
    headings = ["phase", "tokens masked (%)", "mean NPMI", "mean rank", "of the best-ranked tenth (%)"]
    return Table(headings, rows, "What each phase masks")


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _bins(edges: Floats, columns: Sequence[npt.NDArray[Any]]) -> list[list[object]]:
    """A row a bin: where it begins and ends, and its value in each column."""
    return [
        [f"{low:.3f} to {high:.3f}", *(column[i].item() for column in columns)]
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    ]
