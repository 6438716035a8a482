"""What all plots share: colours, and writing a PNG without a display."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cmgems.files import atomic_path

# Colour-blind safe (Okabe and Ito).
SKY_BLUE, BLUE, VERMILLION, GREEN, ORANGE = "#56B4E9", "#0072B2", "#D55E00", "#009E73", "#E69F00"
GREY = "#999999"


def save_png(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, whole or not at all.

    Raises:
        CmgemsError: if it cannot be written.
    """
    with atomic_path(path) as partial:
        FigureCanvasAgg(figure)
        figure.savefig(partial, format="png", dpi=150)
