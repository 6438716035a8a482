"""LOGO with rows of mixed lengths, packed, and Hugging Face's BERT at its size, eager and compiled.

All start from the same weights and take the same rows. Hugging Face's gets a mask where lengths are mixed.
"""

from __future__ import annotations

from dataclasses import replace

from setting import arguments, start
from steps import FULL, MIXED, NEARLY, measure, ours, rows_of, say_kernels, theirs

from cmgems.models import MODELS, BertConfig

ROWS = 250


def main() -> None:
    setting = start(arguments(__doc__))
    config = MODELS.get("logo")
    assert isinstance(config, BertConfig)
    compute = setting.compute
    eager, packed = replace(compute, compiled=False), replace(compute, packing="auto")
    their_ways = {
        "Hugging Face, compiled": lambda: theirs(config, compute),
        "Hugging Face, eager": lambda: theirs(config, eager),
    }
    our_way = {"cmgems, packed": lambda: ours(config, packed)}
    for lengths, ways in {NEARLY: our_way, MIXED: our_way | their_ways, FULL: their_ways}.items():
        made = rows_of(lengths, ROWS, setting.pick(8, 2))
        for side, build in ways.items():
            names = {"model": "logo", "rows": ROWS, "lengths": lengths}
            step = measure(setting, config, build, made, **names, side=side)
            if ways is our_way:
                say_kernels(step, made, **names)


if __name__ == "__main__":
    main()
