"""Pretraining runs by `cmgems run`, as users start them, and their figures."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from setting import Setting, cmgems

from cmgems.runs import RunReader
from cmgems.runs.summary import SWITCHED_AT

# Sequences at a time, of the 250 of a step: DNABERT's 250 may not fit into 80 GB.
AT_ONCE = {"logo": 250, "dnabert": 125}


def command(setting: Setting, model: str, strategy: str, steps: int, out: Path, *more: str) -> list[str]:
    """That of a run of the paper's config; ``more`` wins over what all runs share."""
    words = [
        *setting.data,
        f"compute.micro_batch={AT_ONCE[model]}",
        f"masking.curriculum={strategy}",
        f"steps={steps}",
        "log.every=1",
    ]
    words += ["sequences=10", "validation.sequences=50", "model.layers=2"] * setting.options.quick
    return cmgems("run", "pretrain", "--config", model, *words, *more, "-o", out)


def pretrain(setting: Setting, model: str, strategy: str, steps: int, out: Path, *more: str) -> float:
    """Run it; returns the seconds it took.

    Raises:
        CalledProcessError: if it fails.
    """
    began = time.perf_counter()
    subprocess.run(command(setting, model, strategy, steps, out, *more), check=True)
    return time.perf_counter() - began


def figures(out: Path) -> dict[str, Any]:
    """Medians of a run's later steps, what compiling took, and its validations.

    Seconds of a step (`seconds`), all of the steps together (`steps_seconds`), what the slow ones took beyond the usual
    (`compiling`), tokens a second, share of the peak, share of a step spent waiting for data, GB at most, nats.
    """
    run = RunReader(out)
    records = run.records
    steps = [record for record in records if "seconds" in record]
    later = steps[len(steps) // 6 :]
    usual = statistics.median(record["seconds"] for record in later)
    found = {
        key: statistics.median(record[key] for record in later)
        for key in ("tokens_per_second", "mfu", "wait_share", "masked_share")
        if key in later[0]
    }
    return {
        "steps": len(steps),
        "seconds": usual,
        "steps_seconds": sum(record["seconds"] for record in steps),
        "compiling": sum(max(0.0, record["seconds"] - usual) for record in steps),
        **found,
        "memory_gb": later[-1]["peak_memory_gb"],
        "first_loss": steps[0].get("loss"),
        "last_loss": steps[-1].get("loss"),
        "validation": [(r["step"], r["validation_loss"]) for r in records if "validation_loss" in r],
        "switched_at": (run.summary or {}).get(SWITCHED_AT),
    }
