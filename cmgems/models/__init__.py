"""Model families, their named configs (``MODELS``) and saved models."""

from cmgems.models.base import (
    MODELS,
    EncoderOutputs,
    Head,
    ModelConfig,
    Pool,
    build_model,
    fit_to_tokenizer,
)
from cmgems.models.dnabert import BertConfig
from cmgems.models.dnabert2 import DNABERT2Config
from cmgems.models.lora import LoraConfig, add_lora, merge_lora
from cmgems.models.modernbert import ModernBertConfig
from cmgems.models.nt_v1 import NTv1Config
from cmgems.models.nt_v2 import NTv2Config
from cmgems.models.published import PublishedModel
from cmgems.models.saved import SavedModel, find_model_folder, load_model, model_content, save_model
from cmgems.models.source import ModelSource
from cmgems.models.transformer import TransformerConfig

__all__ = [
    "MODELS",
    "BertConfig",
    "DNABERT2Config",
    "EncoderOutputs",
    "Head",
    "LoraConfig",
    "ModelConfig",
    "ModelSource",
    "ModernBertConfig",
    "NTv1Config",
    "NTv2Config",
    "Pool",
    "PublishedModel",
    "SavedModel",
    "TransformerConfig",
    "add_lora",
    "build_model",
    "find_model_folder",
    "fit_to_tokenizer",
    "load_model",
    "merge_lora",
    "model_content",
    "save_model",
]
