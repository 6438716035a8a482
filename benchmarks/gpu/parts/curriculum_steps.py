"""How many steps each of the pretraining runs of a comparison gets: as many as fit, the same for all.

A short run is timed, its steps and what comes around them; compiling is paid here, the next ones find it in the cache.
"""

from __future__ import annotations

from pathlib import Path

from runs import figures, pretrain
from setting import arguments, say, start

from cmgems.files import write_text

# The paper's, at most; and what a strategy may take longer than the one that is timed.
PAPER = {"logo": 10_000, "dnabert": 1_000}
RESERVE = 0.9
# Seconds of a run besides its steps: imports, the cache's graphs, validations, checkpoints.
AROUND = {"logo": 18.0, "dnabert": 40.0}


def steps_file(work: Path) -> Path:
    return work / "steps.txt"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", choices=list(PAPER), required=True)
    parser.add_argument("--seconds", type=float, required=True, help="of each run")
    setting = start(parser)
    model, out = setting.options.model, setting.work / "speed"
    timed = setting.pick({"logo": 150, "dnabert": 30}[model], 6)
    whole = pretrain(setting, model, "genemask", timed, out, f"validation.every={timed}")
    found = figures(out)
    fitting = int(RESERVE * (setting.options.seconds - AROUND[model]) / found["seconds"])
    steps = setting.pick(min(PAPER[model], max(10, fitting)), 10)
    write_text(steps_file(setting.work), str(steps))
    say("run", model=model, strategy="genemask", whole=whole, **found)
    say("steps", model=model, steps=steps, fitting=fitting)


if __name__ == "__main__":
    main()
