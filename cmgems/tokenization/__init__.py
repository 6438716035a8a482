"""Bases to token ids, straight from base codes, and tokenizers as Hugging Face folders."""

from cmgems.tokenization.base import TOKENIZERS, Tokenizer
from cmgems.tokenization.kmer import KmerTokenizer
from cmgems.tokenization.stock import write_stock

__all__ = ["TOKENIZERS", "KmerTokenizer", "Tokenizer", "write_stock"]
