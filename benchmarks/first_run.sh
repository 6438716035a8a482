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

for model in logo logo_small; do
  epochs=2
  [[ $model == logo_small ]] && epochs=5
  for seed in 0 1 2; do
    for weights in pretrained random; do
      from=model.init=$model
      [[ $weights == pretrained ]] && from=model.checkpoint=runs/$model
      cmgems run finetune --config prom_core data.dir="$data/gue/GUE/prom/prom_core_tata" epochs=$epochs \
        optim.lr=3e-4 optim.warmup=30 "$from" seed=$seed compute.threads=1 -o "runs/ft/tata-$model-$weights-$seed"
      cmgems run finetune --config few_shot data.dir="$data/gue/GUE/prom/prom_core_all" \
        "$from" seed=$seed compute.threads=1 -o "runs/ft/core100-$model-$weights-$seed"
    done
  done
done
python "$top/benchmarks/runs_table.py" runs/ft

# prom_core_tata again at GUE's own learning rate, 3e-5.
for model in logo logo_small; do
  epochs=1
  [[ $model == logo_small ]] && epochs=5
  for seed in 0 1 2; do
    for weights in pretrained random; do
      from=model.init=$model
      [[ $weights == pretrained ]] && from=model.checkpoint=runs/$model
      cmgems run finetune --config prom_core data.dir="$data/gue/GUE/prom/prom_core_tata" epochs=$epochs \
        "$from" seed=$seed compute.threads=1 -o "runs/ft_gue/tata-$model-$weights-$seed"
    done
  done
done
python "$top/benchmarks/runs_table.py" runs/ft_gue
