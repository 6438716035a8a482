"""Curves: thinning, the numbers behind them, the ribbon of phases."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from cmgems.report.render import part_html
from cmgems.report.runs.charts import MOST_POINTS, TABLE_ROWS, Chart, Line, thinned
from cmgems.report.runs.phases import Phase


def line(count: int, label="loss", dots=False) -> Line:
    return Line(label, np.arange(1.0, count + 1), np.linspace(2, 1, count), dots)


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(part_html(chart.figure()))


@pytest.mark.parametrize("count", [1, 7, MOST_POINTS, MOST_POINTS + 1, 1000])
def test_thinning_keeps_the_mean_the_range_and_the_end(count):
    steps = np.arange(1.0, count + 1)
    values = np.random.default_rng(0).normal(size=count)
    last, mean, low, high = thinned(steps, values)
    assert len(last) <= MOST_POINTS
    assert last[-1] == count
    assert low.min() == values.min()
    assert high.max() == values.max()
    widths = np.diff(np.concatenate([[0], last]))
    assert np.sum(mean * widths) / count == pytest.approx(values.mean())
    assert (low <= mean).all()
    assert (mean <= high).all()


def test_the_figure_has_words_and_numbers():
    phases = [Phase(0, 600, {"genemask": 1.0}), Phase(600, 1000, {"global_pmi": 1.0})]
    sparse = Line("validation", np.array([500.0, 1000.0]), np.array([1.5, 1.25]), dots=True)
    chart = Chart(
        "c", "Loss", "A caption.", "nats", (line(1000), sparse), phases, [600], "It switches.", ("level", 1.0)
    )
    figure = parsed(chart)
    label = figure.find("svg").get("aria-label")
    assert "loss: from 2 at step 1 to 1 at step 1,000, lowest 1, highest 2." in label
    assert label.endswith("level: 1. It switches.")
    rows = [["".join(cell.itertext()) for cell in row] for row in figure.iter("tr")]
    assert rows[0] == ["step", "loss", "validation", "masked by"]
    assert rows[1][0] == "500"
    assert float(rows[1][1]) == pytest.approx(1.75, abs=0.001)
    assert rows[1][2:] == ["1.5", "genemask"]
    assert rows[2][2:] == ["1.25", "global_pmi"]
    texts = ["".join(text.itertext()) for text in figure.find("svg").iter("text")]
    assert {"genemask", "global_pmi", "optimizer step", "nats"} <= set(texts)
    assert [entry.label for entry in chart.figure().key] == ["loss", "validation", "level", "switch"]


def test_phases_without_room_for_their_name_are_in_the_key():
    phases = [Phase(0, 990, {"a": 1.0}), Phase(990, 1000, {"b": 1.0})]
    key = Chart("c", "t", "", "y", (line(9),), phases).figure().key
    assert [entry.label for entry in key] == ["loss", "masked by b"]


def test_many_lines_differ_in_colour_or_dashes():
    lines = tuple(line(5, f"run {i}") for i in range(8))
    html = part_html(Chart("c", "t", "", "y", lines).figure())
    strokes = re.findall(r'<path d="M0 5H24" ([^>]*)/>', html)
    assert len(set(strokes)) == 8


def test_one_point_is_a_chart_too():
    chart = Chart("c", "t", "", "y", (line(1),), [Phase(0, 1, {"a": 1.0})], percent=True)
    assert "<svg" in chart.figure().svg


def table_rows(chart: Chart) -> list[list[str]]:
    rows = parsed(chart).iter("tr")
    return [["".join(cell.itertext()) for cell in row] for row in rows]


def test_a_validation_beyond_the_last_logged_step_has_no_phase_yet():
    validation = Line("loss", np.array([250.0, 500.0]), np.array([2.0, 1.0]))
    rows = table_rows(Chart("c", "t", "", "y", (validation,), [Phase(0, 300, {"a": 1.0})]))
    assert rows[1:] == [["250", "2", "a"], ["500", "1", "–"]]


def test_the_table_goes_on_where_the_shorter_line_ends():
    short, long = (Line(str(n), np.arange(1.0, n + 1) * 500, np.arange(1.0, n + 1)) for n in (1, 3))
    rows = table_rows(Chart("c", "t", "", "y", (short, long)))
    assert rows[1:] == [["500", "1", "1"], ["1,000", "–", "2"], ["1,500", "–", "3"]]


def test_the_table_is_short():
    html = part_html(Chart("c", "t", "", "y", (line(5000),), thousands=True).figure())
    assert html.count("<tr>") == TABLE_ROWS + 1
    assert len(html) < 40_000
