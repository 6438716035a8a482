"""One pretraining run of a comparison, in equal steps with the others."""

from __future__ import annotations

from curriculum_steps import steps_file
from runs import AT_ONCE, figures, pretrain
from setting import arguments, say, start


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", choices=list(AT_ONCE), required=True)
    parser.add_argument("--strategy", required=True)
    setting = start(parser)
    model, strategy = setting.options.model, setting.options.strategy
    steps = int(steps_file(setting.work).read_text())
    out = setting.work / "curriculum" / strategy
    whole = pretrain(
        setting,
        model,
        strategy,
        steps,
        out,
        f"validation.every={max(1, steps // 20)}",
        "checkpoint.every=1000",
    )
    say("curriculum", model=model, strategy=strategy, whole=whole, **figures(out))


if __name__ == "__main__":
    main()
