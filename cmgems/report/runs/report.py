"""The report of runs: one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmgems.report.records import Page, Paragraph
from cmgems.report.render import write_page
from cmgems.report.runs.downstream import evaluation_section, finetuning_section
from cmgems.report.runs.logged import find_runs
from cmgems.report.runs.pretraining import comparison_section, pretraining_section


def write_report(folders: Sequence[Path], path: Path) -> str:
    """Write the page about all runs in ``folders``; they may be unfinished.

    Args:
        folders: Run folders, folders of an evaluation, or folders above them.
        path: HTML to write.

    Returns:
        What it is about, in a few words.

    Raises:
        DataError: if there is no run, or one without records.
        CmgemsError: if the page cannot be written.
    """
    found = find_runs(folders)
    pretraining = [run for run in found.runs if run.pretraining]
    finetuning = [run for run in found.runs if not run.pretraining]
    sections = [comparison_section(pretraining, "compared")] if len(pretraining) > 1 else []
    sections += [pretraining_section(run, f"run{number}") for number, run in enumerate(pretraining, 1)]
    sections += [
        evaluation_section(folder, f"evaluation{number}")
        for number, folder in enumerate(found.evaluations, 1)
    ]
    sections += [finetuning_section(finetuning, "finetuning")] if finetuning else []

    title = f"Report of {', '.join(folder.resolve().name for folder in folders)}"
    notes = [Paragraph(f"{folder} is left out: it has no records yet.", note=True) for folder in found.empty]
    write_page(Page("runs", title, sections, notes), path)
    counted = [
        (len(pretraining), "pretraining"), (len(finetuning), "fine-tuning"), (len(found.evaluations), "evaluation")
    ]  # fmt: skip
    return ", ".join(f"{count} {kind}" for count, kind in counted if count)
