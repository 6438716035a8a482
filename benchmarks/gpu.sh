#!/usr/bin/env bash
# Everything that needs a GPU: the suite on it, speed and memory against Hugging Face's, and how long the step waits for
# data. Tables in docs/results/gpu.md; about half an hour.
#
#   benchmarks/gpu.sh FASTA OUT      FASTA: a genome of some Mbp at least; OUT: an empty folder for the runs
set -euo pipefail
fasta=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"

pytest -q tests/models tests/training tests/recipes/test_pretrain.py
python benchmarks/gpu.py

cmgems genome build "$fasta" -o "$out/store"
cmgems pmi build "$out/store" -o "$out/pmi.safetensors"
for model in dnabert logo; do
  # The paper's 250 sequences in one batch: a large GPU has room for them.
  cmgems run pretrain --config ${model}_cm_gems data.store="$out/store" masking.table="$out/pmi.safetensors" \
    steps=300 accumulation=1 data.batch_size=250 validation.every=150 log.every=1 -o "$out/$model"
done

python - "$out" <<'PY' | tee -a docs/results/gpu.md
import statistics
import sys
from pathlib import Path

from cmgems.training import read_metrics

print("\nPretraining runs of 300 steps, medians of the steps after the 50th:\n")
print("| config | M tokens/s | MFU | share of the step spent waiting for data |")
print("| --- | --- | --- | --- |")
for model in ("dnabert", "logo"):
    steps = [r for r in read_metrics(Path(sys.argv[1], model, "metrics.jsonl")) if "wait_share" in r and r["step"] > 50]
    speed, wait = (statistics.median(r[key] for r in steps) for key in ("tokens_per_second", "wait_share"))
    mfu = statistics.median(r.get("mfu", 0.0) for r in steps)
    print(f"| `{model}_cm_gems` | {speed / 1e6:.3f} | {mfu:.1%} | {wait:.2%} |")
PY
