"""Mean and standard deviation over seeds of fine-tuning runs called TASK-MODEL-WEIGHTS-SEED, as a markdown table.

python benchmarks/runs_table.py runs/ft
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

from cmgems.runs.summary import metric_key

METRICS = ("mcc", "accuracy", "macro_f1", "auc")


def main(folder: Path) -> None:
    groups: dict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
    for path in sorted(folder.glob("*/summary.json")):
        task, model, weights, _ = path.parent.name.rsplit("-", 3)
        groups[task, model, weights].append(json.loads(path.read_text()))
    print("| task | model | weights | seeds | " + " | ".join(f"test {m}" for m in METRICS) + " |")
    print("|---" * (4 + len(METRICS)) + "|")
    for (task, model, weights), runs in groups.items():
        values = [[run[metric_key(m)] for run in runs] for m in METRICS]
        cells = [f"{mean(v):.3f} ± {stdev(v) if len(v) > 1 else 0:.3f}" for v in values]
        print(f"| {task} | {model} | {weights} | {len(runs)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
