# Sourced by the scripts that compare curricula: goes to OUT, with a store of the human fragments and a megabase of
# chromosome 17 and its PMI table, and sets the values that their pretraining runs share. Arguments: DATA OUT.
data=$(realpath "$1")
mkdir -p "$2"
cd "$2"

[[ -d store ]] || cmgems genome build "$data"/genomes/{human_fragments,human_chr17_1mb}.fa.gz -o store
[[ -f pmi.safetensors ]] || cmgems pmi build store -o pmi.safetensors

shared=(data.store=store masking.table=pmi.safetensors data.split.by=contig data.sampler.max_bp=101 data.sampler.min_bp=40
  compute.threads=1)
