# Sourced by the scripts that compare curricula: goes to OUT, with a store of the human fragments and a megabase of
# chromosome 17 and its PMI table, and sets the values that their pretraining runs share. Arguments: DATA OUT.
source "$(dirname "${BASH_SOURCE[0]}")/store_and_table.sh" "$1" "$2" human_fragments.fa.gz human_chr17_1mb.fa.gz

shared=(data.store=store masking.table=pmi.safetensors data.split.by=contig data.sampler.max_bp=101 data.sampler.min_bp=40
  compute.threads=1)
