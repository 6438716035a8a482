# Sourced by the scripts that pretrain: goes to OUT, with a store of genomes of DATA and its PMI table, and sets `data` to
# where DATA is. Arguments: DATA OUT GENOME ...
data=$(realpath "$1")
mkdir -p "$2"
cd "$2"
shift 2

[[ -d store ]] || cmgems genome build "${@/#/$data/genomes/}" -o store
[[ -f pmi.safetensors ]] || cmgems pmi build store -o pmi.safetensors
