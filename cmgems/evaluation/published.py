"""Published scores of the GUE benchmark (arXiv 2306.15006), to show beside ours.

``gue_published.csv`` holds MCC, macro-F1 for covid, in percent. DNABERT-2-FPT is DNABERT-2 pretrained further on the
training sequences of GUE itself.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from importlib.resources import files
from statistics import fmean

Figures = dict[str, float]


def published_gue() -> dict[str, Figures]:
    """Percent by data set ("prom/prom_core_all") and model."""
    text = files(__package__).joinpath("gue_published.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["dataset"]: {
            model: float(value) for model, value in row.items() if model not in ("dataset", "metric")
        }
        for row in rows
    }


def average(datasets: Iterable[str]) -> Figures:
    """The mean of each model over ``datasets``, in percent."""
    columns = [published_gue()[name] for name in datasets]
    return {model: fmean(column[model] for column in columns) for model in columns[0]} if columns else {}
