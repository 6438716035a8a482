"""Masks shown in a terminal, as a page, and as a table of figures. Pure functions to strings."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rich.markup import escape as escape_markup

from cmgems.masking.preview import MaskedSequence, MaskPreview
from cmgems.masking.ranks import TENTHS
from cmgems.masking.stats import HIDDEN, PARTLY, VISIBLE, MaskStats
from cmgems.report.records import Group, Letter, Letters, Page, Paragraph, Part, Section
from cmgems.report.render import page_html

# Colours that colour-blind readers can distinguish (Okabe and Ito); the marks say the same without colour.
STYLES = {VISIBLE: "", PARTLY: "black on #56B4E9", HIDDEN: "bold black on #E69F00"}
MARKS = {VISIBLE: " ", PARTLY: "-", HIDDEN: "#"}
CLASSES = {VISIBLE: "", PARTLY: "p", HIDDEN: "h"}
BARS = " ▁▂▃▄▅▆▇█"
RANK_NOTE = (
    "Digits: tenth of the NPMI ranking of the k-mer or piece that starts there, 0 = most tightly bound."
)


def preview_text(blocks: Sequence[MaskPreview], width: int = 80) -> str:
    """The blocks as text with rich markup: bases coloured, marks and rank digits under them.

    Args:
        blocks: One a strategy.
        width: Bases a line.
    """
    lines = []
    for block in blocks:
        lines += [f"[bold]{escape_markup(block.title)}[/bold]  {escape_markup(block.note)}", ""]
        for sequence in block.sequences:
            lines.append(f"  {escape_markup(sequence.name)}: {sequence.summary()}")
            for start in range(0, len(sequence.bases), width):
                part = slice(start, start + width)
                lines.append(f"{start + 1:>7} {_coloured(sequence.bases[part], sequence.states[part])}")
                marks = "".join(MARKS[int(state)] for state in sequence.states[part])
                lines.append(f"{'':8}{marks}".rstrip())
                if sequence.tenths[part].strip():
                    lines.append(f"{'':8}[dim]{sequence.tenths[part].rstrip()}[/dim]")
            lines.append("")
    samples = {state: f"[{STYLES[state]}]A[/]" for state in (HIDDEN, PARTLY)}
    lines.append(
        f"{samples[HIDDEN]} {MARKS[HIDDEN]} hidden whole: every token over the base is masked   "
        f"{samples[PARTLY]} {MARKS[PARTLY]} partly: some are, the others give it away"
    )
    if any(sequence.tenths for block in blocks for sequence in block.sequences):
        lines.append(RANK_NOTE)
    return "\n".join(lines)


def _runs(states: npt.NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    """(start, stop, state) of stretches in one state."""
    edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
    return [(a, b, int(states[a])) for a, b in itertools.pairwise(edges) if b > a]


def _coloured(bases: str, states: npt.NDArray[np.uint8]) -> str:
    return "".join(
        f"[{STYLES[state]}]{bases[start:stop]}[/]" if STYLES[state] else bases[start:stop]
        for start, stop, state in _runs(states)
    )


def preview_page(blocks: Sequence[MaskPreview], title: str) -> str:
    """The blocks as one self-contained HTML page: no network, light and dark, lines that wrap on a phone."""
    whole = "hidden whole: every token over the base is masked (solid line)"
    partly = "partly: some are, the others give it away (dotted line)"
    parts: list[Part] = [
        Letters([Letter("A", CLASSES[state])], meaning)
        for state, meaning in ((HIDDEN, whole), (PARTLY, partly))
    ]
    if any(sequence.tenths for block in blocks for sequence in block.sequences):
        parts.append(Paragraph(RANK_NOTE))
    for number, block in enumerate(blocks, 1):
        groups = [
            Group(
                f"masks{number}-{place}", sequence.name, [Paragraph(sequence.summary()), _letters(sequence)]
            )
            for place, sequence in enumerate(block.sequences, 1)
        ]
        parts.append(Section(f"masks{number}", block.title, [Paragraph(block.note), *groups]))
    return page_html(Page("masks", title, parts, contents=False))


def _letters(sequence: MaskedSequence) -> Letters:
    """Each base over its digit, if there are ranks."""
    empty: list[str | None] = [None] * len(sequence.bases)
    digits = [tenth.strip() for tenth in sequence.tenths] if sequence.tenths else empty
    marked = zip(sequence.bases, sequence.states.tolist(), digits, strict=True)
    return Letters([Letter(base, CLASSES[state], digit=digit) for base, state, digit in marked])


CSV_COLUMNS = (
    "strategy", "rank_by", "sequences", "token_share", "hidden_share", "positions_covered", "positions", "mean_rank",
)  # fmt: skip
HEADINGS = ("strategy", "ranked by", "tokens", "bases hidden", "positions", "mean rank", "ranks: best..worst")


def bars(shares: Sequence[float]) -> str:
    """One block character for each share, the largest at full height."""
    largest = max(shares, default=0.0)
    return "".join(BARS[round(share / largest * (len(BARS) - 1))] if largest else " " for share in shares)


def stats_table(rows: Sequence[MaskStats]) -> str:
    """The figures as a plain table, one line a strategy; the last column is the histogram of ranks."""
    cells = [HEADINGS]
    cells += [
        (
            row.strategy,
            row.rank_by or "-",
            f"{100 * row.token_share:.1f} %",
            f"{100 * row.hidden_share:.1f} %",
            f"{row.positions_covered} of {row.positions}",
            "-" if row.mean_rank is None else f"{row.mean_rank:.0f}",
            "-" if row.histogram is None else f"|{bars(row.histogram)}|",
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADINGS))]
    left = (0, 1, len(HEADINGS) - 1)
    return "\n".join(
        "  ".join(
            text.ljust(width) if i in left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def stats_csv(rows: Sequence[MaskStats]) -> str:
    """The figures as CSV, shares in full precision, empty where there are no ranks."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *(f"rank_tenth_{i + 1}" for i in range(TENTHS))])
    for row in rows:
        values = (getattr(row, name) for name in CSV_COLUMNS)
        writer.writerow([*values, *(row.histogram or [None] * TENTHS)])
    return out.getvalue()
