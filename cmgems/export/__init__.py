"""Trained models for other programs: folders that plain Hugging Face transformers loads."""

from cmgems.export.huggingface import export_huggingface, import_huggingface_state
from cmgems.export.model_card import model_card

__all__ = ["export_huggingface", "import_huggingface_state", "model_card"]
