"""Model families, their named configs (``MODELS``) and saved models."""

from cmgems.models.base import (
    MODELS,
    EncoderOutputs,
    Head,
    ModelConfig,
    build_model,
    fit_to_tokenizer,
)
from cmgems.models.dnabert import BertConfig
from cmgems.models.dnabert2 import DNABERT2Config
from cmgems.models.lora import LoraConfig, add_lora, load_adapters, merge_lora, save_adapters
from cmgems.models.nt_v1 import NTv1Config
from cmgems.models.nt_v2 import NTv2Config
from cmgems.models.published import PublishedModel
from cmgems.models.saved import (
    SavedModel,
    find_model_folder,
    load_encoder_into,
    load_masked_lm_into,
    load_model,
    save_model,
)

__all__ = [
    "MODELS",
    "BertConfig",
    "DNABERT2Config",
    "EncoderOutputs",
    "Head",
    "LoraConfig",
    "ModelConfig",
    "NTv1Config",
    "NTv2Config",
    "PublishedModel",
    "SavedModel",
    "add_lora",
    "build_model",
    "find_model_folder",
    "fit_to_tokenizer",
    "load_adapters",
    "load_encoder_into",
    "load_masked_lm_into",
    "load_model",
    "merge_lora",
    "save_adapters",
    "save_model",
]
