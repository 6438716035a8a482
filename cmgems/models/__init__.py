"""Model families, their named configs (``MODELS``) and saved models."""

from cmgems.models.base import MODELS, Head, HuggingFaceModel, ModelConfig
from cmgems.models.dnabert import BertConfig
from cmgems.models.saved import SavedModel, find_model_folder, load_encoder_into, load_model, save_model

__all__ = [
    "MODELS",
    "BertConfig",
    "Head",
    "HuggingFaceModel",
    "ModelConfig",
    "SavedModel",
    "find_model_folder",
    "load_encoder_into",
    "load_model",
    "save_model",
]
