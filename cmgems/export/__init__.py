"""Reads and writes Hugging Face folders."""

from cmgems.export.huggingface import export_huggingface
from cmgems.export.model_card import model_card
from cmgems.export.read_huggingface import import_huggingface, import_huggingface_state, read_huggingface

__all__ = [
    "export_huggingface",
    "import_huggingface",
    "import_huggingface_state",
    "model_card",
    "read_huggingface",
]
