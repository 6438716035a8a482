"""A matplotlib renderer for figures inside a page: SVG whose colours are the CSS variables of the theme.

Matplotlib's own SVG backend writes fixed colours, fonts and ids into a whole document. This one writes an element of a
page: text stays text in the page's font, and a colour of the light theme becomes its variable, so that the figure
follows light and dark.
"""

from __future__ import annotations

import base64
import io
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from matplotlib.backend_bases import FigureCanvasBase, GraphicsContextBase, RendererBase
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Affine2DBase, Transform
from PIL import Image

from cmgems.report.theme import THEME

# The first variable of a colour; the ends of the ramp are c1 and c2 in light and in dark.
_VARIABLES = {light: name for name, (light, _) in reversed(THEME.items())}
_CAPS = {"butt": "butt", "round": "round", "projecting": "square"}
_ANCHORS = {"left": "start", "center": "middle", "right": "end"}
_LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


def inline_svg(figure: Figure, description: str) -> Markup:
    """A figure as an ``<svg>`` element.

    Args:
        figure: Drawn, and passed, inside ``cmgems.report.theme.page_style``.
        description: What it shows, in words, for those who do not see it.
    """
    renderer = _Canvas(figure).get_renderer()
    renderer.svg.attrib |= {"role": "img", "aria-label": description}
    figure.draw(renderer)
    return Markup(ElementTree.tostring(renderer.svg, encoding="unicode"))


class _Canvas(FigureCanvasBase):
    """Gives the layout the renderer that will draw."""

    def get_renderer(self) -> _PageRenderer:
        return _PageRenderer(*self.figure.bbox.size)


class _PageRenderer(RendererBase):
    """Adds what is drawn to ``svg``.

    Only what figures of a page need: paths, text and images. Nothing is clipped, so the data must lie within the axes.

    Args:
        width, height: Of the figure, in points.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__()
        self.width, self.height = width, height
        self.svg = ElementTree.Element("svg", viewBox=f"0 0 {width:g} {height:g}")
        self._down: Transform = Affine2D().scale(1, -1).translate(0, height)

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def option_image_nocomposite(self) -> bool:
        return True

    def option_scale_image(self) -> bool:
        return True

    def draw_path(
        self, gc: GraphicsContextBase, path: Path, transform: Transform, rgbFace: Any = None
    ) -> None:
        style = _fill(gc, rgbFace) | _stroke(gc)
        if style != {"fill": "none"}:
            ElementTree.SubElement(self.svg, "path", {"d": _data(path, transform + self._down), **style})

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | Literal["TeX"] = False,
        mtext: Text | None = None,
    ) -> None:
        style = {"font-size": _number(prop.get_size_in_points()), "fill": _colour(gc.get_rgb())}
        if mtext is not None and (angle == 0 or mtext.get_rotation_mode() == "anchor"):
            # Anchored as asked for, since the page's font has other widths; on the baseline that was computed.
            places = mtext.get_transform().transform(mtext.get_unitless_position())
            across = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
            anchor = np.array([places[0], self.height - places[1]])
            x, y = anchor + across.dot(np.array([x, y]) - anchor) * across
            style["text-anchor"] = _ANCHORS[mtext.get_horizontalalignment()]
        if angle:
            style["transform"] = f"rotate({-angle:g} {_number(x)} {_number(y)})"
        ElementTree.SubElement(self.svg, "text", {"x": _number(x), "y": _number(y), **style}).text = s

    def draw_image(
        self, gc: GraphicsContextBase, x: float, y: float, im: Any, transform: Affine2DBase | None = None
    ) -> None:
        rows, columns = im.shape[:2]
        png = io.BytesIO()
        Image.fromarray(im).save(png, format="png")
        scaled = Affine2D().scale(1 / columns, 1 / rows) + (transform or Affine2D().scale(columns, rows))
        placed = (scaled + Affine2D().translate(x, y) + self._down).get_matrix()
        attributes = {
            "width": str(columns),
            "height": str(rows),
            "transform": f"matrix({' '.join(f'{value:.5g}' for value in placed[:2].T.flat)})",
            "href": "data:image/png;base64," + base64.b64encode(png.getvalue()).decode("ascii"),
        }
        ElementTree.SubElement(self.svg, "image", attributes)


def _colour(rgb: Any) -> str:
    """A variable of the theme; of other colours the code."""
    code = to_hex(rgb)
    return f"var(--{_VARIABLES[code]})" if code in _VARIABLES else code


def _alpha(gc: GraphicsContextBase, rgba: Any) -> float:
    return float(gc.get_alpha() if gc.get_forced_alpha() or len(rgba) < 4 else rgba[3])


def _fill(gc: GraphicsContextBase, rgba: Any) -> dict[str, str]:
    if rgba is None or not (alpha := _alpha(gc, rgba)):
        return {"fill": "none"}
    return {"fill": _colour(rgba)} | ({"fill-opacity": f"{alpha:g}"} if alpha < 1 else {})


def _stroke(gc: GraphicsContextBase) -> dict[str, str]:
    width, alpha = gc.get_linewidth(), _alpha(gc, gc.get_rgb())
    if not width or not alpha:
        return {}
    style = {"stroke": _colour(gc.get_rgb()), "stroke-width": f"{width:g}"}
    if alpha < 1:
        style["stroke-opacity"] = f"{alpha:g}"
    if (cap := _CAPS[gc.get_capstyle()]) != "butt":
        style["stroke-linecap"] = cap
    if (join := gc.get_joinstyle()) != "round":
        style["stroke-linejoin"] = join
    offset, dashes = gc.get_dashes()
    if dashes is not None:
        style["stroke-dasharray"] = " ".join(map(_number, np.ravel(dashes).tolist()))
        if offset:
            style["stroke-dashoffset"] = _number(offset)
    return style


def _number(value: float) -> str:
    """To a tenth of a point."""
    return f"{round(float(value), 1) + 0.0:g}"


def _data(path: Path, transform: Transform) -> str:
    """The path as SVG's ``d``. A line back to the same point is written h0: with round ends it is a dot."""
    parts: list[str] = []
    last = ""
    for points, code in path.iter_segments(transform, simplify=False):
        text = "" if code == Path.CLOSEPOLY else " ".join(map(_number, points))
        parts.append("h0" if code == Path.LINETO and text == last else f"{_LETTERS[code]}{text}")
        last = text
    return "".join(parts)
