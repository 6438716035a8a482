#!/usr/bin/env bash
# The figures of docs/results/curriculum.md, "Nine rivals": curricula at equal steps and an equal share of masked tokens, 5 seeds.
# Parts, each with the hours of one CPU core:
#
#   kmers      small LOGO on 6-mers from a warm start: eleven runs a seed, frozen probes       2.5 h
#   scratch    ten from random weights, 3.5 times the steps; probes on the way                6 h
#   few_shot   the models of both, fine-tuned on few-shot tasks                               1.2 h
#   bases      single-base tokens                                                             0.9 h
#
#   benchmarks/rivals.sh DATA OUT [PART ...]          DATA holds genomes/, fewshot/ and gue/
#
# Without a part: all, and the tables. Once the warm starts are there, start it again in a second terminal to use another
# core.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
source "$here/human_fragments.sh" "$1" "$2"
shift 2

single_tokens_first=cm_gems+curriculum.easy=uniform+curriculum.hard=genemask
others=(
  cm_gems+curriculum.unit=percent+curriculum.threshold=6+curriculum.patience=2
  annealed
  random_mask
  loss_weighted
  # From 20 to 10 %, and from 0 to 30 %: both mask 15 % of all tokens of a run.
  random_span+target_rate=0.1+rate_schedule=linear+rate_schedule.start=0.2
  uniform_rate+target_rate=null+curriculum.highest=0.3
)
# As published, with the larger share that these mask.
falling_rate=random_span+target_rate=null+rate_schedule=linear
any_rate=uniform_rate+target_rate=null

# More of the single tokens of the warm start, then GeneMask.
from_warm=(random_span genemask $single_tokens_first+curriculum.unit=percent+curriculum.threshold=10 "${others[@]}"
  $falling_rate $any_rate none)
# From random weights a change of 10 percent is flat on the first plateau already.
from_random=(random_span genemask $single_tokens_first+curriculum.threshold=30 "${others[@]}" $any_rate none)

recipe=(--config logo_small "${shared[@]}" masking.target_rate=0.15 validation.sequences=256)
short=(--seeds 5 --steps 1000 optim.lr=1e-3 optim.warmup=100 validation.every=100 checkpoint.every=250 checkpoint.keep=4)
long=(--seeds 5 --steps 3500 validation.every=250 checkpoint.every=500 checkpoint.keep=7)
probe=(--data "$data" --finetune recipe=probe --finetune compute.threads=1)
few_shot=(--data "$data" --finetune compute.threads=1 --datasets Prom-core@100,Silencer@10)

warm_starts() {
  for seed in 0 1 2 3 4; do
    [[ -f warm/seed$seed/summary.json ]] ||
      cmgems run pretrain --config logo_small "${shared[@]}" steps=2500 masking.curriculum=uniform seed=$seed -o warm/seed$seed
  done
}

joined() { # by commas
  local IFS=,
  echo "$*"
}

compare() { # OUT STRATEGIES [ARGUMENT ...], strategies separated by commas
  cmgems compare --strategies "$2" "${recipe[@]}" "${@:3}" -o "$1"
}

part() {
  local warm random
  warm=$(joined "${from_warm[@]}") random=$(joined "${from_random[@]}")
  case $1 in
    kmers)
      warm_starts
      compare kmers "$warm" model=warm/seed{seed} "${short[@]}" "${probe[@]}" --datasets Prom-core@1000,prom_core_tata,mouse/2 ;;
    few_shot)
      compare few_shot "$warm" model=warm/seed{seed} "${short[@]}" --pretrained kmers "${few_shot[@]}"
      compare few_shot_scratch "$random" "${long[@]}" --pretrained scratch "${few_shot[@]}" ;;
    scratch)
      compare scratch "$random" "${long[@]}" "${probe[@]}" --datasets Prom-core@1000
      python "$here/rivals_tables.py" probe scratch "$data" Prom-core@1000 ;;
    bases)
      compare bases "random_span,genemask,random_mask,pmi_spans,uniform_rate+target_rate=null,none" "${short[@]}" tokenizer=base \
        "${probe[@]}" --datasets Prom-core@1000,prom_core_tata ;;
    tables)
      for folder in kmers few_shot few_shot_scratch bases; do
        python "$here/rivals_tables.py" novel $folder > $folder.md
      done
      python "$here/rivals_tables.py" time scratch "$data" Prom-core@1000 > scratch.md ;;
    *) echo "no such part: $1" >&2; exit 2 ;;
  esac
}

[[ $# -gt 0 ]] || set -- kmers scratch few_shot bases tables
for name in "$@"; do
  part "$name"
done
