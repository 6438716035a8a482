"""A run of LOGO that is killed between two checkpoints and started again: batches and masks must be the same."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from runs import command, figures
from setting import arguments, say, start

from cmgems.runs import RunReader
from cmgems.runs.layout import step_of

EVERY = 20  # steps between checkpoints


def records(out: Path) -> dict[int, dict[str, Any]]:
    """What is logged of each step so far."""
    return {record["step"]: record for record in RunReader(out).records if "masked_share" in record}


def killed(words: list[str], out: Path, at: int) -> dict[int, dict[str, Any]]:
    """What a run has logged that is killed after step ``at``.

    Raises:
        RuntimeError: if it ends before.
    """
    process = subprocess.Popen(words)
    while at not in records(out):
        time.sleep(0.01)
        if process.poll() is not None:
            raise RuntimeError(f"the run ended before it was killed, with {process.returncode}")
    process.kill()
    process.wait()
    return records(out)


def main() -> None:
    setting = start(arguments(__doc__))
    out, every = setting.work / "resume", setting.pick(EVERY, 4)
    words = command(setting, "logo", "cm_gems", 3 * every, out, f"checkpoint.every={every}")
    before = killed(words, out, at=every + every // 2)
    saved = max(filter(None, map(step_of, RunReader(out).checkpoints.all())))
    subprocess.run(words, check=True)
    after = records(out)
    again = [step for step in before if step > saved]
    apart = [abs(before[s]["loss"] - after[s]["loss"]) for s in again]
    say(
        "resume",
        killed_at=max(before),
        resumed_from=saved,
        steps=figures(out)["steps"],
        repeated=len(again),
        same_masks=all(before[s]["masked_share"] == after[s]["masked_share"] for s in again),
        apart=max(apart),
    )


if __name__ == "__main__":
    main()
