"""LOGO's 250 sequences a step as 25 micro-batches of 10 and as one batch, launched one by one and as CUDA graphs."""

from __future__ import annotations

from setting import arguments, start
from steps import MASKED, measure, ours, ours_as_graphs, rows_of, split

from cmgems.models import MODELS, BertConfig

ROWS = 250


def main() -> None:
    setting = start(arguments(__doc__))
    config = MODELS.get("logo")
    assert isinstance(config, BertConfig)
    compute = setting.compute
    whole = rows_of(MASKED, ROWS, setting.pick(8, 2))
    tens = [split(made[0], 25) for made in whole]
    ways = {"cmgems, compiled": ours, "cmgems, CUDA graphs": ours_as_graphs}
    # The recipes' way first; the whole batch without graphs is timed by the part before, too: two figures of one thing.
    for batching, made in {"25 x 10": tens, "1 x 250": whole}.items():
        for side, build in ways.items():
            measure(
                setting,
                config,
                lambda build=build: build(config, compute),
                made,
                model="logo",
                rows=ROWS,
                lengths=MASKED,
                batching=batching,
                side=side,
            )


if __name__ == "__main__":
    main()
