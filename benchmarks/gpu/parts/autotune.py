"""LOGO's matrix products chosen from several kernels while compiling: whether a step gains what compiling costs."""

from __future__ import annotations

from dataclasses import replace

from setting import arguments, start
from steps import FULL, measure, ours, rows_of

from cmgems.models import MODELS, BertConfig

ROWS = 250


def main() -> None:
    setting = start(arguments(__doc__))
    config = MODELS.get("logo")
    assert isinstance(config, BertConfig)
    compute = replace(setting.compute, autotune=True)
    made = rows_of(FULL, ROWS, setting.pick(8, 2))
    names = {
        "model": "logo",
        "rows": ROWS,
        "lengths": FULL,
        "batching": "1 x 250",
        "side": "cmgems, autotuned",
    }
    measure(setting, config, lambda: ours(config, compute), made, **names)


if __name__ == "__main__":
    main()
