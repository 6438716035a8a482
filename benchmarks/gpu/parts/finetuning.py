"""Fine-tunes every pretrained model of the comparison, and one from random weights, on the small labelled sets.

One process a model, all at once: small models leave a GPU idle. Scores are said as soon as they are there.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from setting import arguments, cmgems, say, start

from cmgems.evaluation.results import FILE as RESULTS
from cmgems.evaluation.results import read_results

# Folder below `labels`, then overrides of the evaluate recipe; the most valuable first.
SETS: dict[str, list[tuple[str, list[str]]]] = {
    "logo": [
        ("fewshot", ["datasets=[Prom-core@10,Splice-40@10,Silencer@10]", "draws=2", "seeds=3"]),
        ("fewshot", ["datasets=[Prom-core@100,Splice-40@100]", "draws=1", "seeds=2"]),
    ],
    "dnabert": [
        ("gue", ["datasets=[prom_core_tata]"]),
        ("fewshot", ["datasets=[Splice-40@100]", "draws=1"]),
    ],
}
SCORES = ("test_mcc", "test_accuracy", "test_auc")
UNTRAINED = "none"


def scores(out: Path) -> dict[str, dict[str, Any]]:
    """The finished fine-tunings of an evaluation, by dataset and repeat."""
    if not (out / RESULTS).is_file():
        return {}
    return {
        f"{record.title} {record.repeat}": {
            "dataset": record.dataset,
            "shots": record.shots,
            "seed": record.seed,
            "draw": record.draw,
            **{score: record.summary.get(score) for score in SCORES},
        }
        for record in read_results(out).records
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", choices=list(SETS), required=True)
    setting = start(parser)
    model, pretrained = setting.options.model, setting.work / "curriculum"
    finished = sorted(path.parent for path in pretrained.glob("*/summary.json"))
    sources = {folder.name: [f"model={folder}"] for folder in finished}
    sources[UNTRAINED] = [f"model={model}"]
    failed = False
    for number, (folder, words) in enumerate(SETS[model]):
        running = {}
        for name, source in sources.items():
            out = setting.work / "finetuning" / str(number) / name
            data = f"data.dir={setting.options.prepared / 'labels' / folder}"
            # Compiling would take longer than the few steps.
            shared = [data, "compute.compile=off", *["finetune.max_steps=4"] * setting.options.quick]
            shared += ["draws=1", "seeds=1"] * setting.options.quick
            running[name] = (
                out,
                subprocess.Popen(cmgems("run", "evaluate", *source, *words, *shared, "-o", out)),
            )
        said: set[tuple[str, str]] = set()
        while True:
            over = all(process.poll() is not None for _, process in running.values())
            for name, (out, _) in running.items():
                for key, score in scores(out).items():
                    if (name, key) not in said:
                        say("fine-tuning", model=model, strategy=name, **score)
                        said.add((name, key))
            if over:
                break
            time.sleep(0.5)
        failed |= any(process.returncode for _, process in running.values())
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
