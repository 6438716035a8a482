"""Names of the files of a run and of a model folder."""

WEIGHTS_FILE = "model.safetensors"
INFO_FILE = "model.json"
