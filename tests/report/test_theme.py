"""Colours: contrast in light and in dark."""

from __future__ import annotations

import pytest

from cmgems.report.theme import RAMP, THEME


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("shade", [0, 1])
@pytest.mark.parametrize("name", ["text", "dim", "link", "c1", "c2", "c3", "c4", "c5"])
def test_text_can_be_read_in_light_and_dark(name, shade):
    """4.5 : 1 is what WCAG asks of text; the ribbon writes in the background's colour on the data's."""
    assert contrast(THEME[name][shade], THEME["back"][shade]) >= 4.5


@pytest.mark.parametrize("shade", [0, 1])
def test_the_ramp_can_be_seen_and_goes_from_end_to_end(shade):
    ramp = [THEME[f"r{i + 1}"][shade] for i in range(RAMP)]
    assert min(contrast(colour, THEME["back"][shade]) for colour in ramp) >= 2.5
    assert len(set(ramp)) == RAMP
    assert ramp[0] == ("#0072b2", "#56b4e9")[shade]


def test_colours_that_are_equal_in_light_are_equal_in_dark():
    """Figures are drawn in the light colours, and each is written as a variable: it must say the same in dark."""
    assert len(set(THEME.values())) == len({light for light, _ in THEME.values()})
