"""Tokenizers as plain Hugging Face folders: no remote code, the same ids.

BPE is Hugging Face's own, and 6-mers side by side are one regular expression. It has no overlapping tokenizer, but its
normalizer can write the k-mers out as words. The sequence ``ACGTC`` (k = 3) goes through these steps, in lower case
what was inserted:

1. upper case, no white space; any other letter becomes N;
2. for each offset j < k, in front of every base, the j-th base from there: ``acgAcgtCgtcGtcTcC``;
3. the bases themselves become spaces: ``acg cgt gtc tc c``;
4. words shorter than k go, the rest is upper-cased: ``ACG CGT GTC``.

A word with N is not in the vocabulary and becomes [UNK]. Offsets into the original text are meaningless.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Normalizer, Replace
from tokenizers.normalizers import Sequence as NormalizerSequence
from tokenizers.pre_tokenizers import Split, WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from cmgems.files import write_text
from cmgems.genome.alphabet import BASES
from cmgems.tokenization.bpe import BpeTokenizer
from cmgems.tokenization.kmer import KmerTokenizer
from cmgems.tokenization.nucleotide_transformer import K, NucleotideTransformerTokenizer

# The tokenizers that have such a form.
StockTokenizer = KmerTokenizer | NucleotideTransformerTokenizer | BpeTokenizer

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
        nucleotide_transformer = isinstance(tokenizer, NucleotideTransformerTokenizer)
        vocabulary = {token: index for index, token in enumerate(tokenizer.vocabulary())}
        stock = Tokenizer(WordLevel(vocabulary, unk_token=tokenizer.vocabulary()[tokenizer.unk_id]))
        steps = _clean() if nucleotide_transformer else [*_clean(), *_kmer_words(tokenizer.k)]
        stock.normalizer = NormalizerSequence(steps)
        sixes = Split(Regex(f"[{BASES}]{{{K}}}|."), "isolated")
        stock.pre_tokenizer = sixes if nucleotide_transformer else WhitespaceSplit()
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
    letters = BASES + "N"
    steps: list[Normalizer] = []
    for offset in range(k):
        # Lower-case letters inserted so far lie between the bases and are skipped.
        skip = f"[{letters}]" + f"[{letters.lower()}]*[{letters}]" * (offset - 1) + f"[{letters.lower()}]*"
        ahead = skip if offset else ""
        steps += [Replace(Regex(f"(?={ahead}{letter})"), letter.lower()) for letter in letters]
    steps.append(Replace(Regex(f"[{letters}]"), " "))
    steps.append(Replace(Regex(rf"(?<![a-z])[a-z]{{1,{k - 1}}}(?![a-z])"), ""))
    return steps + [Replace(letter.lower(), letter) for letter in letters]


def write_stock(tokenizer: StockTokenizer, folder: Path, max_tokens: int | None = None) -> None:
    """Write ``tokenizer`` as a folder that ``AutoTokenizer.from_pretrained`` loads without remote code.

    Args:
        tokenizer: Overlapping k-mers, 6-mers side by side or BPE.
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
