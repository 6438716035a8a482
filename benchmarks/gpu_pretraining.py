"""Pretraining runs on a GPU as users start them: speed, MFU, memory, and how long a step waits for its data.

    python benchmarks/gpu_pretraining.py OUT --fasta hg38.fa.gz

OUT is an empty folder for the store, the PMI table and the runs. Without a FASTA a genome of 20 Mbp is simulated. The
paper's 250 sequences a step make one batch: a large GPU has room for them. Figures are medians of the later five sixths
of the steps. The first step of each width of the batches, eight or fewer, compiles a graph.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from on_gpu import Page, start
from side_by_side import ROOT, arguments, environment

from cmgems.demo.simulate import write_demo_data
from cmgems.runs import read_metric_log

CONFIGS = ("logo", "dnabert")
STEPS = 300
FULL = (
    f"steps={STEPS} accumulation=1 data.batch_size=250 validation.every=150 checkpoint.every=1000 log.every=1"
)
TINY = "steps=12 accumulation=1 data.batch_size=4 validation.every=12 validation.sequences=8 log.every=1"
TINY += " model=logo_tiny data.sampler.max_bp=100"
HEADER = "config, steps, M tokens/s, MFU, peak GB, compiling s, share of the step spent waiting for data"


def cmgems(*words: str | Path) -> None:
    """The command line of this checkout; what it says goes to the terminal."""
    command = [sys.executable, ROOT / "cli.py", *words]
    subprocess.run(command, check=True, env=environment())


def row_of(config: str, metrics: Path) -> list[str]:
    records = [record for record in read_metric_log(metrics) if "wait_share" in record]
    later = records[len(records) // 6 :]

    def median(key: str) -> float:
        return statistics.median(record[key] for record in later)

    usual = median("seconds")

    return [
        f"`{config}`",
        f"{len(records)}",
        f"{median('tokens_per_second') / 1e6:.3f}",
        f"{median('mfu'):.1%}" if "mfu" in later[0] else "-",
        f"{later[-1]['peak_memory_gb']:.1f}",
        f"{sum(max(0.0, record['seconds'] - usual) for record in records):.0f}",
        f"{median('wait_share'):.2%}",
    ]


def main() -> None:
    parser = arguments(__doc__ or "", "gpu_pretraining.md")
    parser.add_argument("out", type=Path)
    parser.add_argument("--fasta", type=Path)
    parser.add_argument("--configs", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    options = parser.parse_args()
    compute = start(options.quick)
    out: Path = options.out
    fasta = options.fasta
    if fasta is None:
        fasta = write_demo_data(out / "data", bases=100_000 if options.quick else 20_000_000).genome
    notes = [f"Overrides: `{TINY if options.quick else FULL}`. Genome: {fasta.name}."]
    page = Page(
        options.output, "Pretraining on a GPU", "gpu_pretraining.py", compute, 0, HEADER.split(", "), notes
    )
    store, table = out / "store", out / "pmi.safetensors"
    if not table.exists():
        cmgems("genome", "build", fasta, "-o", store, "--force")
        cmgems("pmi", "build", store, "-o", table)
    for config in options.configs:
        data = [f"data.store={store}", f"masking.table={table}"]
        overrides = (TINY if options.quick else FULL).split()
        with page.attempt(f"`{config}`"):
            cmgems("run", "pretrain", "--config", config, *data, *overrides, "-o", out / config)
        with page.attempt(f"`{config}`, its figures"):
            page.add([row_of(config, out / config / "metrics.jsonl")])
    page.finish()


if __name__ == "__main__":
    main()
