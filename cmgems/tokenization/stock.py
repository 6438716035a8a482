"""Tokenizers as plain Hugging Face folders: no remote code, the same ids.

BPE is Hugging Face's own; single bases, and 6-mers side by side, are one regular expression. It has no overlapping
tokenizer, but its normalizer can write each k-mer out as a word behind its first base. The sequence ``ACGTC`` (k = 3)
goes through these steps, in upper case what is inserted:

1. lower case; words that are overlapping k-mers ("ACG CGT GTC", DNABERT's input) are put together, other white space
   is dropped, and any other letter becomes n: ``acgtc``;
2. the base itself: ``aAcCgGtTcC``;
3. for each offset 0 < j < k, behind the word of every base, the j-th base from there, which is the last letter of the
   next base's word so far: ``aACGcCGTgGTCtTCcC``;
4. words of k letters are the tokens: ``ACG CGT GTC``.

A word with N is not in the vocabulary and becomes [UNK]. A Hugging Face tokenizer lets no two tokens share letters of
the text, so the offsets of a k-mer are those of its first base alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase, Normalizer, Replace
from tokenizers.normalizers import Sequence as NormalizerSequence
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

from cmgems.files import write_text
from cmgems.genome.alphabet import BASES
from cmgems.tokenization.base_tokens import BaseTokenizer
from cmgems.tokenization.bpe import BpeTokenizer
from cmgems.tokenization.kmer import KmerTokenizer
from cmgems.tokenization.nucleotide_transformer import K, NucleotideTransformerTokenizer

# The tokenizers that have such a form.
StockTokenizer = BaseTokenizer | KmerTokenizer | NucleotideTransformerTokenizer | BpeTokenizer

BERT_SPECIALS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
NUCLEOTIDE_TRANSFORMER_SPECIALS = {
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "cls_token": "<cls>",
    "mask_token": "<mask>",
}
# Positions of the published models: DNABERT and DNABERT-2, and by version those of the Nucleotide Transformer.
BERT_POSITIONS = 512
NUCLEOTIDE_TRANSFORMER_POSITIONS = {1: 1000, 2: 2048}


def stock_tokenizer(tokenizer: StockTokenizer) -> Tokenizer:
    """The Hugging Face tokenizer that gives the same ids as ``tokenizer``.

    Raises:
        CmgemsError: if it is BPE without a file.
    """
    if isinstance(tokenizer, BpeTokenizer):
        stock = Tokenizer.from_str(tokenizer.stock.to_str())
        stock.normalizer = NormalizerSequence(_clean())
    else:
        vocabulary = {token: index for index, token in enumerate(tokenizer.vocabulary())}
        stock = Tokenizer(WordLevel(vocabulary, unk_token=tokenizer.vocabulary()[tokenizer.unk_id]))
        if isinstance(tokenizer, KmerTokenizer):
            stock.normalizer = NormalizerSequence(_kmer_words(tokenizer.k))
            stock.pre_tokenizer = Split(Regex(f"[{BASES}N]{{{tokenizer.k}}}"), "removed", invert=True)
        else:
            piece = "." if isinstance(tokenizer, BaseTokenizer) else f"[{BASES}]{{{K}}}|."
            stock.normalizer = NormalizerSequence(_clean())
            stock.pre_tokenizer = Split(Regex(piece), "isolated")
        specials = tokenizer.vocabulary()[: tokenizer.special_count]
        stock.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    stock.post_processor = _around(tokenizer)
    return stock


def _around(tokenizer: StockTokenizer) -> TemplateProcessing:
    if isinstance(tokenizer, NucleotideTransformerTokenizer):
        return TemplateProcessing(
            single="<cls> $A", pair="<cls> $A $B:1", special_tokens=[("<cls>", tokenizer.cls_id)]
        )
    return bert_template(tokenizer.cls_id, tokenizer.sep_id)


def bert_template(cls_id: int, sep_id: int) -> TemplateProcessing:
    """[CLS] in front of a sequence, [SEP] behind it."""
    return TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls_id), ("[SEP]", sep_id)],
    )


def _clean() -> list[Normalizer]:
    """Upper case, no white space, N for any other letter."""
    upper = [Replace(base.lower(), base) for base in BASES]
    return [*upper, Replace(Regex(r"\s+"), ""), Replace(Regex(f"[^{BASES}]"), "N")]


def _kmer_words(k: int) -> list[Normalizer]:
    """Every base, in lower case, and behind it its k-mer; near the end what is left of it."""
    bases = BASES.lower()
    joined = Replace(
        Regex(r"(?<=\b\w)(\w+)\s+(?=\1\w\b)"), ""
    )  # a word, but for its first letter, begins the next
    steps: list[Normalizer] = [
        Lowercase(),
        joined,
        Replace(Regex(r"\s+"), ""),
        Replace(Regex(f"[^{bases}]"), "n"),
    ]
    for offset in range(k):
        for letter in BASES + "N":
            # In front of the next base, whose word has `offset` letters by now.
            ahead = f"(?=[{bases}n].{{{offset - 1}}}{letter})" if offset else f"(?<={letter.lower()})"
            steps.append(Replace(Regex(ahead), letter))
    return steps


def write_stock(tokenizer: StockTokenizer, folder: Path, max_tokens: int | None = None) -> None:
    """Write ``tokenizer`` as a folder that ``AutoTokenizer.from_pretrained`` loads without remote code.

    Args:
        tokenizer: Single bases, overlapping k-mers, 6-mers side by side or BPE.
        folder: Made if missing; files of the same names are replaced.
        max_tokens: Positions of the model it is for, [CLS] and [SEP] included; by default the published one's.

    Raises:
        CmgemsError: if a file cannot be written, or the tokenizer is BPE without a file.
    """
    specials: Mapping[str, str] = BERT_SPECIALS
    positions = BERT_POSITIONS
    if isinstance(tokenizer, NucleotideTransformerTokenizer):
        specials = NUCLEOTIDE_TRANSFORMER_SPECIALS
        positions = NUCLEOTIDE_TRANSFORMER_POSITIONS[tokenizer.version]
    config = {
        # With any other class, or none, transformers 5 silently turns every k-mer into [UNK].
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions if max_tokens is None else max_tokens,
        "clean_up_tokenization_spaces": False,
        **specials,
    }
    write_text(folder / "tokenizer.json", _json(json.loads(stock_tokenizer(tokenizer).to_str())))
    write_text(folder / "tokenizer_config.json", _json(config))
    write_text(folder / "special_tokens_map.json", _json(specials))
    write_text(folder / "vocab.txt", "".join(token + "\n" for token in tokenizer.vocabulary()))


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
