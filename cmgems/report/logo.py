"""Sequence logos (Schneider and Stephens, 1990); letters in the colours of the page or of a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from cmgems.extras import optional
from cmgems.genome.alphabet import BASES
from cmgems.report.figure import BLUE, GREEN, ORANGE, VERMILLION

PICTURE_COLOURS = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILLION}


def check_logos() -> None:
    """See that logos can be drawn.

    Raises:
        CmgemsError: if logomaker is not installed.
    """
    optional("logomaker", extra="plots", needed_for="sequence logos")


def draw_logo(shares_W4: npt.NDArray[np.float64], axes: Axes, colours: Mapping[str, str]) -> float:
    """Letters whose heights are shares of the information of their place (bits).

    Args:
        shares_W4: Of A, T, C, G at each place.
        axes: Where to draw.
        colours: Of A, C, G and T.

    Returns:
        The height of the tallest place (bits); the axis goes to 2.
    """
    import logomaker
    import pandas as pd

    entropy_W = -np.sum(
        shares_W4 * np.log2(shares_W4, where=shares_W4 > 0, out=np.zeros_like(shares_W4)), axis=1
    )
    # Never quite 0: logomaker warns of a logo without height.
    heights_W4 = shares_W4 * np.maximum(2 - entropy_W, 1e-6)[:, None]
    frame = pd.DataFrame(heights_W4, columns=list(BASES), index=range(1, len(heights_W4) + 1))
    logomaker.Logo(frame, ax=axes, color_scheme=dict(colours))
    axes.set_ylim(0, 2)
    axes.set_ylabel("bits")
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(False)
    return float(heights_W4.sum(axis=1).max())
