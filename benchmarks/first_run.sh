#!/usr/bin/env bash
# The figures of docs/results/first_run.md: human fragments -> store -> PMI -> LOGO with cm_gems -> core promoters,
# from pretrained and from random weights, 3 seeds each. About two and a half hours of one CPU core with bf16.
#
#   benchmarks/first_run.sh DATA OUT      DATA holds genomes/human_fragments.fa.gz and gue/GUE/prom/
set -euo pipefail
here=$(realpath "$(dirname "$0")")
source "$here/store_and_table.sh" "$1" "$2" human_fragments.fa.gz

# The curriculum of logo_cpu at the time: single tokens until the perplexity has flattened, then GeneMask.
curriculum=(masking.curriculum{=cm_gems,.easy=uniform,.hard=genemask,.threshold=30})
pretrain() { # run, then what differs from logo_cpu
  cmgems run pretrain --config logo_cpu data.store=store masking.table=pmi.safetensors data.split.by=contig \
    compute.threads=1 "${curriculum[@]}" "${@:2}" -o "runs/$1"
}
pretrain logo_small
logo=(model=logo sequences=16 optim.lr=1e-3)
pretrain logo "${logo[@]}" steps=5000

# The same models with the paper's pair of strategies and threshold, for longer.
paper=(masking.curriculum.easy=genemask masking.curriculum.hard=global_pmi masking.curriculum.threshold=1
  validation.every=500)
pretrain paper_logo_small "${paper[@]}" steps=12000
pretrain paper_logo "${logo[@]}" "${paper[@]}" steps=7000

finetune() { # name, model, weights, seed, recipe's arguments
  local from=model=$2
  [[ $3 == pretrained ]] && from=model=runs/$2
  cmgems run finetune "${@:5}" "$from" seed="$4" compute.threads=1 -o "runs/ft/$1-$2-$3-$4"
}
tata=(--config prom_core data.dir="$data/gue/GUE/prom/prom_core_tata")
core100=(--config few_shot data.dir="$data/gue/GUE/prom/prom_core_all")

for seed in 0 1 2; do
  for weights in pretrained random; do
    for lr in 3e-4 1e-3; do
      finetune "tata_$lr" logo $weights $seed "${tata[@]}" epochs=3 optim.lr=$lr
      finetune "tata_$lr" logo_small $weights $seed "${tata[@]}" epochs=5 optim.lr=$lr
    done
    finetune core100 logo $weights $seed "${core100[@]}"
    finetune core100 logo_small $weights $seed "${core100[@]}"
  done
done
python "$here/runs_table.py" runs/ft
