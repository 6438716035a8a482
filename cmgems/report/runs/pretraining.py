"""The part of a report that is about pretraining runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmgems.errors import CmgemsError
from cmgems.report import page
from cmgems.report.runs.charts import Chart, Line, lines_of
from cmgems.report.runs.logged import LoggedRun
from cmgems.report.runs.phases import in_words, phases, strategies, switches
from cmgems.runs.summary import UNIGRAM_ENTROPY, label

MOST_COMPARED = 8
MOST_TROUBLES = 10
VALIDATED = ("validation_loss", "perplexity")
# Sections of the config that say on what, and under which mask, a run is validated.
COMPARABLE = ("tokenizer", "data", "validation")
SETTINGS = {
    "model": "model",
    "tokenizer": "tokenizer",
    "curriculum": "masking.curriculum",
    "PMI table": "masking.table",
    "genome store": "data.store",
    "steps": "steps",
    "batches a step": "accumulation",
    "sequences a batch": "data.batch_size",
    "peak learning rate": "optim.lr",
    "nominal masking rate": "masking.rate",
    "target masking rate": "masking.target_rate",
    "seed": "seed",
}


def pretraining_section(run: LoggedRun, name: str) -> str:
    """All about one run.

    Args:
        run: A pretraining run.
        name: Id of the section.
    """
    parts = [
        page.tiles(_key_facts(run)),
        page.paragraph(in_words(run)),
        _troubles(run),
        page.group(f"{name}-curves", "Curves", page.figures([chart.html() for chart in _charts(run, name)])),
        page.group(f"{name}-masks", "What is masked", _masks(run, name)),
        page.group(f"{name}-embedding", "The embedding of the tokens", _embedding(run, name)),
        page.group(f"{name}-settings", "Settings and summary", page.figures(_tables(run))),
    ]
    return page.section(name, f"Pretraining: {run.name}", "".join(parts))


def comparison_section(runs: Sequence[LoggedRun], name: str) -> str:
    """Several runs over each other: what is measured under the fixed mask, where they can be compared."""
    shown = runs[:MOST_COMPARED]
    caption = "Held-out windows under a mask that never changes, whatever the run trains on."
    charts = [
        Chart(f"{name}-{short}", title, caption, label, lines_of(shown, key, dots=True))
        for short, key, title, label in (
            ("perplexity", "perplexity", "Perplexity under the fixed mask", "perplexity"),
            ("loss", "validation_loss", "Validation loss under the fixed mask", "nats per masked token"),
        )
    ]
    rows = [
        (
            run.name,
            ", ".join(strategies(run)),
            run.records[-1]["step"],
            _last(run, "perplexity"),
            _lowest(run),
        )
        for run in runs
    ]
    headings = ["run", "masked by", "steps done", "last perplexity", "lowest perplexity"]
    title = "The pretraining runs compared"
    parts = [
        page.table(headings, rows, title),
        page.group(
            f"{name}-curves", "Curves", page.figures([chart.html() for chart in charts if chart.lines])
        ),
    ]
    differing = [
        key for key in COMPARABLE if any(run.config.get(key) != runs[0].config.get(key) for run in runs)
    ]
    if differing:
        told = f"Perplexities are of different tokens where runs differ in {' or '.join(differing)}."
        parts.append(page.paragraph(told, "note"))
    if len(runs) > MOST_COMPARED:
        parts.append(
            page.paragraph(f"The curves show the first {MOST_COMPARED} of {len(runs)} runs.", "note")
        )
    return page.section(name, title, "".join(parts))


def _charts(run: LoggedRun, name: str) -> list[Chart]:
    """The curves that the log has records for."""
    entropy = run.summary.get(UNIGRAM_ENTROPY)
    level = ("unigram entropy", float(entropy)) if isinstance(entropy, int | float) else None
    course, taken, words = phases(run), [step for step, _ in switches(run)], in_words(run)

    def chart(
        short: str,
        title: str,
        caption: str,
        y_label: str,
        labels: dict[str, str],
        *,
        level: tuple[str, float] | None = None,
        percent: bool = False,
        thousands: bool = False,
    ) -> Chart:
        lines = tuple(
            Line(label, *run.series(key), dots=key in VALIDATED)
            for key, label in labels.items()
            if len(run.series(key)[0])
        )
        chosen = (lines, course, taken, words, level, percent, thousands)
        return Chart(f"{name}-{short}", title, caption, y_label, *chosen)

    charts = [
        chart(
            "loss",
            "Loss",
            "Training loss under the masking of each step, validation loss under one mask that never changes. "
            + ("Below the unigram entropy the context is used. " if level else "")
            + "Shaded: the range of the steps that a point stands for.",
            "nats per masked token",
            {"loss": "training", "validation_loss": "validation, fixed mask"},
            level=level,
        ),
        chart(
            "perplexity",
            "Perplexity under the fixed mask",
            "Of held-out windows under one mask that never changes. CM-GEMS switches where it is flat.",
            "perplexity",
            {"perplexity": "validation, fixed mask"},
        ),
        chart(
            "share",
            "Masked share",
            "Share of a step's tokens that are masked.",
            "share of tokens",
            {"masked_share": "masked share"},
            percent=True,
        ),
        chart("lr", "Learning rate", "As the schedule sets it.", "learning rate", {"lr": "learning rate"}),
        chart(
            "speed",
            "Throughput",
            f"Tokens trained on in a second, over all processes. {_waiting(run)}",
            "tokens a second",
            {"tokens_per_second": "tokens a second"},
            thousands=True,
        ),
        chart(
            "gradient",
            "Gradient norm",
            "Before clipping.",
            "gradient norm",
            {"gradient_norm": "gradient norm"},
        ),
    ]
    return [chart for chart in charts if chart.lines]


def _waiting(run: LoggedRun) -> str:
    waited = run.series("wait_share")[1]
    return f"Waiting for data took {100 * np.median(waited):.1f} % of a step (median)." if len(waited) else ""


def _masks(run: LoggedRun, name: str) -> str:
    """NPMI over the k-mers, and of what each phase masks."""
    from cmgems.report.runs.npmi_figures import masks_figure, masks_table, table_figure
    from cmgems.report.runs.phase_masks import load_table, sample_masks
    from cmgems.report.runs.sections import load_sections

    try:
        sections = load_sections(run)
        table = load_table(sections)
    except CmgemsError as error:
        return _left_out("NPMI", error)
    figures, below = [table_figure(table, f"{name}-npmi")], ""
    try:
        masks = sample_masks(run, sections, table)
        figures.append(masks_figure(masks, f"{name}-masked"))
        below = masks_table(masks)
    except CmgemsError as error:
        below = _left_out("What each phase masks", error)
    return page.figures(figures) + below


def _embedding(run: LoggedRun, name: str) -> str:
    """The map of the tokens, coloured by GC and, if there is a table, by rank."""
    from cmgems.models import load_model
    from cmgems.report.runs.embedding_map import embedding_map, gc_figure, rank_figure
    from cmgems.report.runs.phase_masks import load_table
    from cmgems.report.runs.sections import load_sections

    try:
        saved = load_model(run.folder)
        found = embedding_map(saved)
    except CmgemsError as error:
        return _left_out("The map of the embedding", error)
    figures, note = [gc_figure(found, f"{name}-embedding-gc")], ""
    try:
        ranks_V = load_table(load_sections(run)).token_ranks(saved.tokenizer)
        figures.append(rank_figure(found, ranks_V, f"{name}-embedding-rank"))
    except CmgemsError as error:
        note = _left_out("The map by NPMI rank", error)
    steps = page.cell_text(saved.training.get("steps"))
    return (
        page.paragraph(f"Of the model in {saved.folder}, after {steps} steps.") + page.figures(figures) + note
    )


def _left_out(what: str, error: CmgemsError) -> str:
    place = f" in {error.where}" if error.where else ""
    why = f": {error.why}" if error.why else ""
    return page.paragraph(f"{what} is left out: {error.what}{place}{why}.", "note")


def _tables(run: LoggedRun) -> list[str]:
    """The config's main choices, and the summary."""
    chosen = [(label, run.setting(key)) for label, key in SETTINGS.items()]
    settings = [(label, page.cell_text(value)) for label, value in chosen if value is not None]
    summary = [(label(key), value) for key, value in run.summary.items()]
    memory = _last(run, "peak_memory_gb")
    if memory is not None:
        summary.append(("peak memory (GB)", memory))
    note = "" if run.summary else page.paragraph("The summary is left out: the run has not finished.", "note")
    tables = [
        page.table([title, "value"], rows, f"{title} of {run.name}")
        for title, rows in (("setting", settings), ("summary", summary))
        if rows
    ]
    return [*tables, note]


def _key_facts(run: LoggedRun) -> list[tuple[str, object]]:
    done, wanted = run.records[-1]["step"], run.setting("steps")
    going = "" if run.summary or wanted is None else f" of {page.cell_text(wanted)}"
    speeds = run.series("tokens_per_second")[1]
    return [
        ("steps done", f"{done:,}{going}"),
        ("perplexity, fixed mask", _last(run, "perplexity")),
        ("lowest perplexity", _lowest(run)),
        ("tokens a second", float(np.median(speeds)) if len(speeds) else None),
        *((f"switch to {strategy}", f"step {step:,}") for step, strategy in switches(run)),
    ]


def _last(run: LoggedRun, key: str) -> float | None:
    values = run.series(key)[1]
    return float(values[-1]) if len(values) else None


def _lowest(run: LoggedRun) -> float | None:
    values = run.series("perplexity")[1]
    return float(values.min()) if len(values) else None


def _troubles(run: LoggedRun) -> str:
    """What the run complained of."""
    found = run.texts("trouble")
    if not found:
        return ""
    more = f" and {len(found) - MOST_TROUBLES} more" if len(found) > MOST_TROUBLES else ""
    told = "; ".join(f"step {step:,}: {text}" for step, text in found[:MOST_TROUBLES])
    return page.paragraph(f"Trouble: {told}{more}.", "note")
