#!/usr/bin/env bash
# The figures of docs/results/first_run.md: human fragments -> store -> PMI -> LOGO with cm_gems -> core promoters,
# from pretrained and from random weights, 3 seeds each. About three hours of one CPU core.
#
#   benchmarks/first_run.sh DATA OUT      DATA holds genomes/human_fragments.fa.gz and gue/GUE/prom/
set -euo pipefail
data=$(realpath "$1")
mkdir -p "$2"
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$2"

[[ -d store ]] || cmgems genome build "$data/genomes/human_fragments.fa.gz" -o store
cmgems pmi build store -o pmi.safetensors

pretrain() { # model, steps, steps between validations
  cmgems run pretrain --config logo_cpu data.store=store masking.table=pmi.safetensors data.split.by=contig \
    model="$1" steps="$2" validation.every="$3" validation.sequences=1024 masking.curriculum.threshold=20 \
    optim.lr=1.5e-3 optim.warmup=50 compute.threads=1 -o "runs/$1"
}
pretrain logo 400 25
pretrain logo_small 1500 50

finetune() { # name, model, weights, seed, recipe's arguments
  local from=model.init=$2
  [[ $3 == pretrained ]] && from=model.checkpoint=runs/$2
  cmgems run finetune "${@:5}" "$from" seed="$4" compute.threads=1 -o "runs/$1-$2-$3-$4"
}
tata=(--config prom_core data.dir="$data/gue/GUE/prom/prom_core_tata")
core100=(--config few_shot data.dir="$data/gue/GUE/prom/prom_core_all")

for seed in 0 1 2; do
  for weights in pretrained random; do
    finetune ft/tata logo $weights $seed "${tata[@]}" epochs=2 optim.lr=3e-4 optim.warmup=30
    finetune ft/tata logo_small $weights $seed "${tata[@]}" epochs=5 optim.lr=3e-4 optim.warmup=30
    finetune ft/core100 logo $weights $seed "${core100[@]}"
    finetune ft/core100 logo_small $weights $seed "${core100[@]}"
    # prom_core_tata again at GUE's own learning rate, 3e-5.
    finetune ft_gue/tata logo $weights $seed "${tata[@]}" epochs=1
    finetune ft_gue/tata logo_small $weights $seed "${tata[@]}" epochs=5
  done
done
for folder in runs/ft runs/ft_gue; do
  python "$top/benchmarks/runs_table.py" $folder
done
