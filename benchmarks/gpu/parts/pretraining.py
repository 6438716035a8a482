"""200 steps of LOGO by `cmgems run`, 250 sequences a step: speed, and the share of a step spent waiting for data."""

from __future__ import annotations

from runs import figures, pretrain
from setting import arguments, say, start


def main() -> None:
    setting = start(arguments(__doc__))
    out, steps = setting.work / "pretraining", setting.pick(200, 6)
    seconds = pretrain(setting, "logo", "cm_gems", steps, out, f"validation.every={steps // 2}")
    say("run", model="logo", strategy="cm_gems", whole=seconds, **figures(out))


if __name__ == "__main__":
    main()
