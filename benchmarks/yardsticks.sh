#!/usr/bin/env bash
# The figures of docs/results/yardsticks.md: all sets of GUE that DATA holds, by a small LOGO from random and from pretrained
# weights, fine-tuned and frozen, 3 seeds, beside the best baseline without a model. About three hours of one CPU core.
#
#   benchmarks/yardsticks.sh DATA OUT      DATA holds genomes/human_fragments.fa.gz and gue/GUE/
#
# Once the model is pretrained, start it again in a second terminal to use another core.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
source "$here/store_and_table.sh" "$1" "$2" human_fragments.fa.gz

for set in "$data"/gue/GUE/*/*/; do
  name=$(basename "$(dirname "$set")")_$(basename "$set").json
  [[ -f $name ]] || cmgems labels audit "$set" -o "$name"
done

# The curriculum of logo_cpu at the time: single tokens until the perplexity has flattened, then GeneMask.
curriculum=(masking.curriculum{=cm_gems,.easy=uniform,.hard=genemask,.threshold=30})
cmgems run pretrain --config logo_cpu data.store=store masking.table=pmi.safetensors data.split.by=contig \
  compute.threads=1 "${curriculum[@]}" -o pretrained

evaluate() { # folder, then the recipe's arguments
  cmgems run evaluate data.dir="$data/gue/GUE" compute.threads=1 "${@:2}" -o "$1"
}
# A learning rate that suits so small a model, and an end for the large sets; both the same for both kinds of weights.
gue=(--config gue seeds=3 finetune.optim.lr=3e-4 finetune.max_steps=600)
probe=(--config probe "datasets=[*]" yardsticks=false)
evaluate probe_pretrained "${probe[@]}" model=pretrained
evaluate probe_random "${probe[@]}" model=logo_small seeds=3
evaluate finetuned_pretrained "${gue[@]}" model=pretrained
evaluate finetuned_random "${gue[@]}" model=logo_small yardsticks=false

python "$here/yardsticks_table.py" .
