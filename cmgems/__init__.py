"""cmgems: pretrain and fine-tune gene transformers with PMI curriculum masking."""

__version__ = "0.1.0"
