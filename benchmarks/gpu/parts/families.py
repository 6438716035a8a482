"""Ten steps each of NT v2 and DNABERT-2 by `cmgems run`: that they train, how fast, and with how much memory."""

from __future__ import annotations

import subprocess

from runs import figures
from setting import arguments, cmgems, say, start

# Config, sequences of a step, and what it needs besides.
FAMILIES = {"nt_v2_50m": 50, "dnabert2": 250}


def main() -> None:
    setting = start(arguments(__doc__))
    own = {"nt_v2_50m": [], "dnabert2": [f"tokenizer.file={setting.options.prepared / 'tokenizer.json'}"]}
    for family, rows in FAMILIES.items():
        out = setting.work / "families" / family
        words = [
            *setting.data[:1],
            *own[family],
            f"sequences={setting.pick(rows, 4)}",
        ]
        words += [f"steps={setting.pick(10, 3)}", "masking.curriculum=random_span"]
        words += ["log.every=1", "validation.sequences=50", *["model.layers=2"] * setting.options.quick]
        subprocess.run(cmgems("run", "pretrain", "--config", family, *words, "-o", out), check=True)
        say("run", model=family, strategy="random_span", **figures(out))


if __name__ == "__main__":
    main()
