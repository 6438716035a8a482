#!/usr/bin/env bash
# The figures of docs/results/curriculum.md: masking strategies from a shared warm start, 3 seeds. Parts, each with a
# report of its own and the hours of one CPU core with bf16:
#
#   few_shot   logo_small, eleven strategies on six few-shot tasks       4 h
#   whole      five of these models on two whole sets of GUE             1 h
#   logo       LOGO itself, eight strategies on three few-shot tasks     7 h
#
#   benchmarks/curriculum.sh DATA OUT [PART ...]      DATA holds genomes/, fewshot/ and gue/GUE/
#
# Without a part: few_shot. Once a part's warm starts are there, start it again in a second terminal to use another core.
set -euo pipefail
source "$(dirname "$0")/human_fragments.sh" "$1" "$2"
shift 2

switching=cm_gems+curriculum.threshold=30
by_position=$switching+rank_by=position

compare() { # MODEL STRATEGIES DATASETS
  local model=$1 strategies=$2 datasets=$3
  for seed in 0 1 2; do
    cmgems run pretrain --config logo_small "${shared[@]}" model="$model" steps=2500 masking.curriculum=uniform \
      seed=$seed -o "warm/$model-seed$seed"
  done
  cmgems compare --strategies "$strategies" --seeds 3 --config logo_small --steps 2000 "${shared[@]}" \
    "model=warm/$model-seed{seed}" optim.lr=1e-3 optim.warmup=100 validation.every=200 \
    --data "$data" --datasets "$datasets" --finetune compute.threads=1 --finetune log.every=200 -o "$model"
}

for part in "${@:-few_shot}"; do
  case $part in
    few_shot)
      compare logo_small "random_span,uniform,genemask,global_pmi,cm_step,cm_gems,$switching,annealed,$by_position,\
random_span+rate=0.3,$switching+rate=0.3,none" Prom-core@10,Prom-core@100,Splice-40@10,Splice-40@100,Silencer@10,tf/0@100
      cp logo_small/report.md few_shot.md ;;
    whole)
      compare logo_small "random_span,genemask,$switching,$by_position,random_span+rate=0.3,none" prom_core_tata,mouse/2
      cp logo_small/report.md whole.md ;;
    logo)
      compare logo "random_span,genemask,global_pmi,cm_step,$switching,annealed,$by_position,random_span+rate=0.3,none" \
        Prom-core@100,Silencer@10,tf/0@100
      cp logo/report.md logo.md ;;
    *) echo "no such part: $part" >&2; exit 2 ;;
  esac
done
