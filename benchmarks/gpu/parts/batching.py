"""LOGO's 250 sequences a step, 10 at a time and all at once, launched one by one and as CUDA graphs."""

from __future__ import annotations

from dataclasses import replace

from setting import arguments, start
from steps import FULL, measure, ours, rows_of

from cmgems.masking import micro_batches
from cmgems.models import MODELS, BertConfig

ROWS = 250


def main() -> None:
    setting = start(arguments(__doc__))
    config = MODELS.get("logo")
    assert isinstance(config, BertConfig)
    compute = setting.compute
    whole = rows_of(FULL, ROWS, setting.pick(8, 2))
    tens = [micro_batches(batch, ROWS // 10, full=507, multiple=64) for (batch,) in whole]
    ways = {
        "cmgems, compiled": compute,
        "cmgems, CUDA graphs": replace(compute, cuda_graphs="on"),
    }
    # The whole batch without graphs is timed by the part before, too: two figures of one thing.
    for batching, made in {"25 x 10": tens, "1 x 250": whole}.items():
        for side, way in ways.items():
            measure(
                setting,
                config,
                lambda way=way: ours(config, way),
                made,
                model="logo",
                rows=ROWS,
                lengths=FULL,
                batching=batching,
                side=side,
            )


if __name__ == "__main__":
    main()
