#!/usr/bin/env bash
# The figures of docs/results/curriculum.md, "The config logo_cpu": at its own length with the curriculum that it had, GeneMask
# and random spans, 3 seeds, fine-tuned on few examples and on all of prom_core_tata. Four hours of one CPU core.
#
#   benchmarks/logo_cpu.sh DATA OUT       DATA holds genomes/human_fragments.fa.gz, fewshot/ and gue/GUE/prom/
#
# Once the PMI table is there, start it again in a second terminal to use another core.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
source "$here/store_and_table.sh" "$1" "$2" human_fragments.fa.gz

# Single tokens until the perplexity has flattened, then GeneMask.
before=cm_gems+curriculum.easy=uniform+curriculum.hard=genemask+curriculum.threshold=30
compare() { # OUT [ARGUMENT ...]
  cmgems compare --strategies "$before,genemask,random_span,none" --config logo_cpu --seeds 3 data.store=store \
    masking.table=pmi.safetensors data.split.by=contig compute.threads=1 --data "$data" --finetune compute.threads=1 "${@:2}" -o "$1"
}
compare few_shot --datasets Prom-core@100,Silencer@10
# A learning rate that suits so small a model, the same for all.
compare whole --pretrained few_shot --datasets prom_core_tata --finetune optim.lr=3e-4 --finetune epochs=5

for folder in few_shot whole; do
  python "$here/rivals_tables.py" novel $folder > $folder.md
done
