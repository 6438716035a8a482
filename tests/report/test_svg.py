"""Figures in a page: colours, text, and paths that stay what they were."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from cmgems.report.svg import inline_svg
from cmgems.report.theme import COLOURS, RAMP_COLOURS, new_figure, page_style


def drawn(draw=lambda axes: axes.plot([0, 1, 2], [0.0004, 1, 2], color=COLOURS[1])) -> str:
    with page_style():
        figure = new_figure()
        draw(figure.add_subplot(xlabel="step <1>"))
        return inline_svg(figure, 'what "it" shows')


def test_it_is_one_element_that_says_what_it_shows():
    svg = ElementTree.fromstring(drawn())
    assert svg.tag == "svg"
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == 'what "it" shows'
    assert svg.get("viewBox") == "0 0 360 237.6"
    assert svg.get("width") is None
    texts = ["".join(text.itertext()) for text in svg.iter("text")]
    assert "step <1>" in texts
    assert not any("://" in value for element in svg.iter() for value in element.attrib.values())


def test_colours_are_the_pages():
    svg = drawn()
    assert "var(--c2)" in svg
    assert 'fill="var(--text)"' in svg
    assert not re.search(r'(fill|stroke)="#', svg)
    assert "font-family" not in svg


def test_it_is_the_same_each_time_and_has_no_ids():
    assert drawn() == drawn()
    assert " id=" not in drawn()


def test_transparent_and_empty_things():
    svg = drawn(
        lambda axes: axes.fill_between([0, 1], [0, 0], [1, 1], color=COLOURS[0], alpha=0.2, linewidth=0)
    )
    assert 'fill="var(--c1)" fill-opacity="0.2"' in svg
    assert 'stroke="var(--c1)"' not in svg
    assert 'fill="none" />' not in svg
    assert drawn(lambda axes: axes.plot([0, 1], [0, 1], color="none")).count("<path") == drawn(
        lambda axes: axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    ).count("<path")


def test_dashes_and_colours_of_no_theme():
    svg = drawn(lambda axes: axes.plot([0, 1], [0, 1], color="#123456", linestyle="--"))
    assert 'stroke="#123456"' in svg
    assert re.search(r'stroke-dasharray="[\d.]+ [\d.]+"', svg)


def test_a_turned_label_is_anchored_at_its_middle():
    (label,) = re.findall(r"<text [^>]*>loss</text>", drawn(lambda axes: axes.set_ylabel("loss")))
    assert 'text-anchor="middle"' in label
    assert re.search(r'transform="rotate\(-90 [\d.]+ [\d.]+\)"', label)


def test_text_with_a_dollar_is_text():
    assert ">a$b$</text>" in drawn(lambda axes: axes.text(0, 0, "a$b$"))


def test_an_image_lies_where_its_axes_are():
    """Rows from the top: the matrix has no flip left, and takes pixels to the square of the axes."""
    with page_style():
        figure = new_figure()
        axes = figure.add_subplot()
        axes.imshow([[0.0, 1.0], [1.0, 0.0]], interpolation="none")
        image = ElementTree.fromstring(inline_svg(figure, "x")).find("image")
    assert image.get("href").startswith("data:image/png;base64,")
    a, b, c, d, left, top = map(float, image.get("transform")[7:-1].split())
    box = axes.get_window_extent()
    assert (b, c) == (0, 0)
    assert [a * 2, d * 2] == pytest.approx([box.width, box.height], abs=0.1)
    assert [left, top] == pytest.approx([box.x0, 237.6 - box.y1], abs=0.1)


def points(svg: str, colour: str) -> str:
    return next(m[1] for m in re.finditer(r'<path d="([^"]*)"([^>]*)', svg) if f'stroke="{colour}"' in m[2])


def test_dots_are_short_and_lines_keep_their_points():
    """A zero-length line is a dot only if it ends there: what follows must stay a line."""
    codes = [Path.MOVETO, Path.LINETO]
    dots = PathPatch(Path([(0.5, 0.5)] * 2 + [(1, 1)] * 2, codes * 2), edgecolor=RAMP_COLOURS[1])
    path = points(drawn(lambda axes: axes.add_artist(dots)), "var(--r2)")
    assert re.fullmatch(r"(M[\d.]+ [\d.]+h0){2}", path)

    line = points(drawn(lambda axes: axes.plot([0, 0, 1], [0, 0, 1], color=COLOURS[2])), "var(--c3)")
    assert re.fullmatch(r"M[\d.]+ [\d.]+h0L[\d.]+ [\d.]+", line)


@pytest.mark.parametrize("value", [0.0004, 12345.678])
def test_numbers_in_text_are_not_shortened(value):
    assert f">{value}</text>" in drawn(lambda axes: axes.text(0, 0, str(value)))
