"""The evaluations of benchmarks/yardsticks.sh beside the best baseline, as two markdown tables.

python benchmarks/yardsticks_table.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from side_by_side import table

from cmgems.evaluation.results import Line, read_results
from cmgems.evaluation.statistics import MeanSD
from cmgems.runs.summary import Part

WITH_BASELINES = "finetuned_pretrained"
FOLDERS = {
    "finetuned_random": "random, fine-tuned",
    WITH_BASELINES: "pretrained, fine-tuned",
    "probe_random": "random, frozen",
    "probe_pretrained": "pretrained, frozen",
}
PARTS: dict[Part, str] = {"all": "All test rows", "novel": "Novel test rows"}


def cell(score: MeanSD, best: float) -> str:
    """In percent, in bold where nothing is better."""
    text = f"{score.mean:.1f}" + (f" ± {score.sd:.1f}" if score.count > 1 else "")
    return f"**{text}**" if score.mean >= best else text


def part_table(folder: Path, part: Part) -> str:
    """A row for each data set: the scores of the models and of the best baseline."""
    lines = {name: {line.title: line for line in read_results(folder / name).lines()} for name in FOLDERS}
    rows = []
    for title, line in lines[WITH_BASELINES].items():
        models: list[Line] = [lines[name][title] for name in FOLDERS]
        scores = [model.score(line.metric, part) for model in models]
        scores.append(line.baseline_score(line.metric, part))
        best = max(score.mean for score in scores)
        rows.append([title, *(cell(score, best) for score in scores), line.baseline_title])
    header = ["set", *FOLDERS.values(), "best baseline", "which"]
    return f"### {PARTS[part]}\n\n{table(header, rows)}\n"


def main(folder: Path) -> None:
    print("\n".join(part_table(folder, part) for part in PARTS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
