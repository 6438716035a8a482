"""Hugging Face's BERT at LOGO's size, eager and compiled, from the same weights on the same rows as ours.

Neither side gets a mask where rows are full; where lengths are mixed both do, and ours is measured packed besides.
"""

from __future__ import annotations

from dataclasses import replace

from setting import arguments, start
from steps import FULL, MIXED, measure, ours, rows_of, theirs

from cmgems.models import MODELS, BertConfig

ROWS = 250


def main() -> None:
    setting = start(arguments(__doc__))
    config = MODELS.get("logo")
    assert isinstance(config, BertConfig)
    compute = setting.compute
    eager, packed = replace(compute, compiled=False), replace(compute, packing="on")
    their_ways = {
        "Hugging Face, compiled": lambda: theirs(config, compute),
        "Hugging Face, eager": lambda: theirs(config, eager),
    }
    our_ways = {
        "cmgems, compiled": lambda: ours(config, compute),
        "cmgems, packed": lambda: ours(config, packed),
    }
    for lengths, ways in {FULL: their_ways, MIXED: our_ways | their_ways}.items():
        made = rows_of(lengths, ROWS, setting.pick(8, 2))
        for side, build in ways.items():
            measure(setting, config, build, made, model="logo", rows=ROWS, lengths=lengths, side=side)


if __name__ == "__main__":
    main()
