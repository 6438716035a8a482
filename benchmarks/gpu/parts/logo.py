"""LOGO compiled, 250 sequences of 510 bp: 507 tokens without a mask against 512 with one, and where the time goes."""

from __future__ import annotations

from dataclasses import replace

from setting import arguments, cached_files, say, start
from steps import FULL, MASKED, measure, ours, rows_of, say_kernels, say_losses

from cmgems.models import MODELS, BertConfig

ROWS = 250


def main() -> None:
    setting = start(arguments(__doc__))
    config = MODELS.get("logo")
    assert isinstance(config, BertConfig)
    compute, count = setting.compute, setting.pick(8, 2)
    before = cached_files()
    for lengths in (MASKED, FULL):
        made = rows_of(lengths, ROWS, count)
        names = {"model": "logo", "rows": ROWS, "lengths": lengths}
        step = measure(setting, config, lambda: ours(config, compute), made, **names, side="cmgems, compiled")
        say_kernels(step, made, **names)
        if lengths == MASKED:
            say("triton cache", before=before, after=cached_files())
    made = rows_of(FULL, ROWS, count)
    say_losses(config, compute, made[0][0], parts=25, model="logo")
    names = {"model": "logo", "rows": ROWS, "lengths": FULL}
    eager = replace(compute, compiled=False)
    measure(setting, config, lambda: ours(config, eager), made, **names, side="cmgems, eager")


if __name__ == "__main__":
    main()
