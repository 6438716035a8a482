"""Bases to token ids, straight from base codes, and tokenizers as Hugging Face folders."""

from cmgems.tokenization.base import TOKENIZERS, Tokenizer, overlapping
from cmgems.tokenization.base_tokens import BaseTokenizer
from cmgems.tokenization.bpe import BpeTokenizer
from cmgems.tokenization.bpe_training import train_bpe
from cmgems.tokenization.inputs import encode_rows
from cmgems.tokenization.kmer import KmerTokenizer
from cmgems.tokenization.nucleotide_transformer import NucleotideTransformerTokenizer
from cmgems.tokenization.stock import StockTokenizer, write_stock
from cmgems.tokenization.token_map import IGNORE, TokenMap

__all__ = [
    "IGNORE",
    "TOKENIZERS",
    "BaseTokenizer",
    "BpeTokenizer",
    "KmerTokenizer",
    "NucleotideTransformerTokenizer",
    "StockTokenizer",
    "TokenMap",
    "Tokenizer",
    "encode_rows",
    "overlapping",
    "train_bpe",
    "write_stock",
]
