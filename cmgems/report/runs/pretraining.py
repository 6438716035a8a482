"""The part of a report that is about pretraining runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cmgems.errors import CmgemsError
from cmgems.report.records import Grid, Group, Paragraph, Part, Section, Table, Tiles, cell_text
from cmgems.report.runs.charts import Chart, Line, lines_of
from cmgems.report.runs.logged import LoggedRun
from cmgems.report.runs.phases import in_words, phases, strategies, switches
from cmgems.runs.health import LABELS
from cmgems.runs.summary import BASELINES, UNIGRAM_ENTROPY, label

MOST_COMPARED = 8
MOST_TROUBLES = 10
VALIDATED = ("validation_loss", "validation_accuracy", "perplexity")
Level = tuple[str, float] | None
# Sections of the config that say on what, and under which mask, a run is validated.
COMPARABLE = ("tokenizer", "data", "validation")
SETTINGS = {
    "model": "model",
    "tokenizer": "tokenizer",
    "curriculum": "masking.curriculum",
    "PMI table": "masking.table",
    "genome store": "data.store",
    "steps": "steps",
    "sequences a step": "sequences",
    "peak learning rate": "optim.lr",
    "nominal masking rate": "masking.rate",
    "target masking rate": "masking.target_rate",
    "masking rate schedule": "masking.rate_schedule",
    "masking of soft-masked bases": "masking.soft_mask",
    "seed": "seed",
}


def pretraining_section(run: LoggedRun, name: str) -> Section:
    """All about one run.

    Args:
        run: A pretraining run.
        name: Id of the section.
    """
    charts = [chart.figure() for chart in _charts(run, name)]
    parts: list[Part] = [
        Tiles(_key_facts(run)),
        *([Paragraph(words)] if (words := in_words(run)) else []),
        *_troubles(run),
        *_health(run, name),
        Group(f"{name}-curves", "Curves", [Grid(charts)]),
        Group(f"{name}-masks", "What is masked", _masks(run, name)),
        Group(f"{name}-embedding", "The embedding of the tokens", _embedding(run, name)),
        Group(f"{name}-settings", "Settings and summary", [Grid(_tables(run))]),
    ]
    return Section(name, f"Pretraining: {run.name}", parts)


def comparison_section(runs: Sequence[LoggedRun], name: str) -> Section:
    """Several runs in one figure: what is measured under the fixed mask, and whether runs can be compared."""
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
            _percent(_last(run, "validation_accuracy")),
        )
        for run in runs
    ]
    headings = ["run", "masked by", "steps done", "last perplexity", "lowest perplexity", "guessed right (%)"]
    title = "The pretraining runs compared"
    figures = [chart.figure() for chart in charts if chart.lines]
    parts: list[Part] = [Table(headings, rows, title), Group(f"{name}-curves", "Curves", [Grid(figures)])]
    first = runs[0].config
    differing = [key for key in COMPARABLE if any(run.config.get(key) != first.get(key) for run in runs)]
    if differing:
        where = " or ".join(differing)
        text = f"Perplexities cannot be compared where runs differ in {where}: they are of different tokens."
        parts.append(Paragraph(text, note=True))
    if len(runs) > MOST_COMPARED:
        text = f"The curves show the first {MOST_COMPARED} of {len(runs)} runs."
        parts.append(Paragraph(text, note=True))
    return Section(name, title, parts)


def _charts(run: LoggedRun, name: str) -> list[Chart]:
    """The curves that the log has records for."""
    level, right_level = _levels(run)
    loss = (
        "Training loss under the masking of each step, validation loss under one mask that never changes. "
        + ("Below the dotted line the context is used. " if level else "")
        + "Shaded: the range over the steps that a point averages."
    )
    flat = "Of held-out windows under one mask that never changes. CM-GEMS switches when it stops falling."
    right = "The model's first guess, under the same mask. A tenth of the masked tokens is left as it is."
    speed = f"Tokens trained on in a second, over all processes. {_waiting(run)}"
    charts = [
        Chart("loss", "Loss", loss, "nats per masked token",
              _lines(run, loss="training", validation_loss="validation, fixed mask"), level=level),
        Chart("perplexity", "Perplexity under the fixed mask", flat, "perplexity",
              _lines(run, perplexity="validation, fixed mask")),
        Chart("right", "Masked tokens guessed right", right, "share of tokens",
              _lines(run, validation_accuracy="validation, fixed mask"), level=right_level, percent=True),
        Chart("share", "Masked share", "Share of a step's tokens that are masked.", "share of tokens",
              _lines(run, masked_share="masked share"), percent=True),
        Chart("lr", "Learning rate", "As the schedule sets it.", "learning rate", _lines(run, lr="learning rate")),
        Chart("speed", "Throughput", speed, "tokens a second",
              _lines(run, tokens_per_second="tokens a second"), thousands=True),
        Chart("gradient", "Gradient norm", "Before clipping.", "gradient norm",
              _lines(run, gradient_norm="gradient norm")),
    ]  # fmt: skip
    stretches, steps, words = phases(run), [step for step, _ in switches(run)], in_words(run)
    return [
        replace(chart, name=f"{name}-{chart.name}", phases=stretches, switches=steps, phases_in_words=words)
        for chart in charts
        if chart.lines
    ]


def _levels(run: LoggedRun) -> tuple[Level, Level]:
    """Guesses without a model to draw: the loss of one blind to the context, and the accuracy of the best."""
    entropy, health = run.summary.get(UNIGRAM_ENTROPY), run.health
    known = [(key, found) for key, found in health.baselines.items() if found] if health else []
    if not known:
        return ("unigram entropy", float(entropy)) if isinstance(entropy, int | float) else None, None
    (first, blind), (last, best) = known[0], min(known, key=lambda pair: pair[1].loss)
    accuracy = None if math.isnan(best.accuracy) else (LABELS[last], best.accuracy)
    return (LABELS[first], blind.loss), accuracy


def _health(run: LoggedRun, name: str) -> list[Part]:
    """How far the run has come, beside guesses without a model; nothing of runs that did not record it."""
    health = run.health
    if health is None:
        return []
    rows = [(guess, loss, _percent(right), remark) for guess, loss, right, remark in health.rows]
    title = "Guesses under the fixed mask"
    table = Table(["guess by", "loss (nats)", "right (%)", ""], rows, title)
    return [Group(f"{name}-health", title, [Paragraph(health.in_words()), table])]


def _lines(run: LoggedRun, **labels: str) -> tuple[Line, ...]:
    """A line for each key of the log that has numbers, by its label."""
    found = [(text, run.series(key), key in VALIDATED) for key, text in labels.items()]
    return tuple(Line(text, *values, dots=dots) for text, values, dots in found if len(values[0]))


def _waiting(run: LoggedRun) -> str:
    waited = run.series("wait_share")[1]
    return f"Waiting for data took {100 * np.median(waited):.1f} % of a step (median)." if len(waited) else ""


def _masks(run: LoggedRun, name: str) -> list[Part]:
    """NPMI over the k-mers, and of what each phase masks."""
    from cmgems.report.runs.npmi_figures import masks_figure, masks_table, table_figure
    from cmgems.report.runs.phase_masks import load_table, sample_masks
    from cmgems.report.runs.sections import load_sections

    try:
        sections = load_sections(run)
        table = load_table(sections)
    except CmgemsError as error:
        return [_left_out("NPMI", error)]
    figures = [table_figure(table, f"{name}-npmi")]
    below: Part
    try:
        masks = sample_masks(run, sections, table)
        figures.append(masks_figure(masks, f"{name}-masked"))
        below = masks_table(masks)
    except CmgemsError as error:
        below = _left_out("What each phase masks", error)
    return [Grid(figures), below]


def _embedding(run: LoggedRun, name: str) -> list[Part]:
    """The map of the tokens, coloured by GC and, if there is a table, by rank."""
    from cmgems.models import load_model
    from cmgems.report.runs.embedding_map import embedding_map, gc_figure, rank_figure
    from cmgems.report.runs.phase_masks import load_table
    from cmgems.report.runs.sections import load_sections

    try:
        saved = load_model(run.folder)
        found = embedding_map(saved)
    except CmgemsError as error:
        return [_left_out("The map of the embedding", error)]
    figures, notes = [gc_figure(found, f"{name}-embedding-gc")], []
    try:
        ranks_V = load_table(load_sections(run)).token_ranks(saved.tokenizer)
        figures.append(rank_figure(found, ranks_V, f"{name}-embedding-rank"))
    except CmgemsError as error:
        notes.append(_left_out("The map by NPMI rank", error))
    steps = cell_text(saved.training.get("steps"))
    return [Paragraph(f"Of the model in {saved.folder}, after {steps} steps."), Grid(figures), *notes]


def _left_out(what: str, error: CmgemsError) -> Paragraph:
    place = f" in {error.where}" if error.where else ""
    why = f": {error.why}" if error.why else ""
    return Paragraph(f"{what} is left out: {error.what}{place}{why}.", note=True)


def _tables(run: LoggedRun) -> list[Part]:
    """The config's main choices, and the summary."""
    chosen = [(name, run.setting(key)) for name, key in SETTINGS.items()]
    settings = [(name, cell_text(value)) for name, value in chosen if value is not None]
    summary = [(label(key), value) for key, value in run.summary.items() if key != BASELINES]
    memory = _last(run, "peak_memory_gb")
    if memory is not None:
        summary.append(("peak memory (GB)", memory))
    tables: list[Part] = [
        Table([title, "value"], rows, f"{title} of {run.name}")
        for title, rows in (("setting", settings), ("summary", summary))
        if rows
    ]
    if not run.summary:
        tables.append(Paragraph("The summary is left out: the run has not finished.", note=True))
    return tables


def _key_facts(run: LoggedRun) -> list[tuple[str, object]]:
    done, wanted = run.records[-1]["step"], run.setting("steps")
    going = "" if run.summary or wanted is None else f" of {cell_text(wanted)}"
    speeds = run.series("tokens_per_second")[1]
    return [
        ("steps done", f"{done:,}{going}"),
        ("perplexity, fixed mask", _last(run, "perplexity")),
        ("lowest perplexity", _lowest(run)),
        ("tokens a second", float(np.median(speeds)) if len(speeds) else None),
        *((f"switch to {strategy}", f"step {step:,}") for step, strategy in switches(run)),
    ]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _last(run: LoggedRun, key: str) -> float | None:
    values = run.series(key)[1]
    return float(values[-1]) if len(values) else None


def _lowest(run: LoggedRun) -> float | None:
    values = run.series("perplexity")[1]
    return float(values.min()) if len(values) else None


def _troubles(run: LoggedRun) -> list[Paragraph]:
    """What the run warned of."""
    found = run.texts("trouble")
    if not found:
        return []
    more = f" and {len(found) - MOST_TROUBLES} more" if len(found) > MOST_TROUBLES else ""
    texts = "; ".join(f"step {step:,}: {text}" for step, text in found[:MOST_TROUBLES])
    return [Paragraph(f"Trouble: {texts}{more}.", note=True)]
