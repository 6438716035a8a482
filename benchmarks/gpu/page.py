"""The page of the GPU's figures from the results of the runs; what is not there is said to be not measured.

python benchmarks/gpu/page.py [RESULTS.jsonl ...] [--output docs/results/gpu.md]

Without files: of all in the folder `measured`, the later ones over the earlier.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from plan import DNABERT_STRATEGIES, LOGO_STRATEGIES
from results import Line, read
from tables import agreement, curriculum, kernels, losses, machine, parts, speed, users

from cmgems.files import write_text

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "docs" / "results" / "gpu.md"
INTRODUCTION = """# GPU

Commands, from the root of a checkout; `benchmarks/gpu/README.md` says more:

```bash
python benchmarks/gpu/prepare.py DATA                 # beforehand, on a CPU with network
python benchmarks/gpu/run.py 1 --out OUT/1            # on the GPU, nine minutes each: correctness and speed,
python benchmarks/gpu/run.py 2 --out OUT/2            # the curriculum with LOGO,
python benchmarks/gpu/run.py 3 --out OUT/3            # the curriculum with DNABERT,
python benchmarks/gpu/run.py 4 --out OUT/4            # and, in five minutes, the other families and the tests
python benchmarks/gpu/page.py OUT/*/results.jsonl     # this page
```

The results that this page is made from are in `benchmarks/gpu/measured`."""


def page(lines: list[Line]) -> str:
    """All of it, in markdown."""
    sections = {
        "Machine": machine(lines),
        "Gradients against float64 on the CPU": "Norm of the difference over the gradients' norm, worst of the widths "
        "from 64 to 512 and 507; bold where it is more than rounding. With a mask there is no choice of kernels; "
        "packed rows need none.\n\n" + agreement(lines),
        "Training steps": "LOGO: 250 sequences a step; DNABERT: 125. Real tokens only.\n\n" + speed(lines),
        "The same loss on both": losses(lines),
        "Where a step goes": kernels(lines),
        "Runs as users start them": users(lines),
        "The curriculum with LOGO": curriculum(lines, "logo", LOGO_STRATEGIES),
        "The curriculum with DNABERT": curriculum(lines, "dnabert", DNABERT_STRATEGIES),
        "What ran": parts(lines),
    }
    quick = ["**Of runs with `--quick`: these figures mean nothing.**"] * any(
        line.get("quick") for line in lines
    )
    return (
        "\n\n".join([INTRODUCTION, *quick, *(f"## {title}\n\n{text}" for title, text in sections.items())])
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="*", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    write_text(options.output, page(read(options.results or sorted((HERE / "measured").glob("*.jsonl")))))
    print(options.output)


if __name__ == "__main__":
    main()
