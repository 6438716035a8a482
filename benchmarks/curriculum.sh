#!/usr/bin/env bash
# The figures of docs/results/curriculum.md: masking strategies from a shared warm start, on few-shot tasks, 3 seeds.
# About four hours of one CPU core with bf16; once the warm starts are there, start it again in a second terminal to use
# another core.
#
#   benchmarks/curriculum.sh DATA OUT      DATA holds genomes/, fewshot/ and gue/GUE/tf/0
set -euo pipefail
data=$(realpath "$1")
mkdir -p "$2"
cd "$2"

[[ -d store ]] || cmgems genome build "$data"/genomes/{human_fragments,human_chr17_1mb}.fa.gz -o store
[[ -f pmi.safetensors ]] || cmgems pmi build store -o pmi.safetensors

shared=(data.store=store masking.table=pmi.safetensors data.split.by=contig data.sampler.max_bp=101 data.sampler.min_bp=40
  compute.threads=1)
for seed in 0 1 2; do
  cmgems run pretrain --config logo_small_random "${shared[@]}" steps=2500 masking.curriculum=fixed \
    masking.curriculum.masking=uniform seed=$seed -o "warm/seed$seed"
done

switching=cm_gems+curriculum.threshold=30
strategies=(random_span uniform genemask global_pmi cm_step cm_gems "$switching" annealed "$switching+rank_by=position"
  random_span+rate=0.3 "$switching+rate=0.3" none)
cmgems compare --strategies "$(IFS=,; echo "${strategies[*]}")" --seeds 3 --config logo_small_random --steps 2000 \
  "${shared[@]}" "start=warm/seed{seed}" optim.lr=1e-3 optim.warmup=100 validation.every=200 \
  --data "$data" --tasks Prom-core@10,Prom-core@100,Splice-40@10,Splice-40@100,Silencer@10,tf/0@100 \
  --finetune compute.threads=1 --finetune log.every=200 -o compare
