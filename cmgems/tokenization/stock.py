"""A k-mer tokenizer as a plain Hugging Face folder: no remote code, the same ids.

Hugging Face has no overlapping tokenizer, but its normalizer can write the k-mers out as words. The sequence
``ACGTC`` (k = 3) goes through these steps, in lower case what was inserted:

1. upper case, no white space; any other letter becomes N;
2. for each offset j < k, in front of every base, the j-th base from there: ``acgAcgtCgtcGtcTcC``;
3. the bases themselves become spaces: ``acg cgt gtc tc c``;
4. words shorter than k go, the rest is upper-cased: ``ACG CGT GTC``.

A word holding N is in no vocabulary, hence [UNK]. Offsets into the original text mean nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Normalizer, Replace
from tokenizers.normalizers import Sequence as NormalizerSequence
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from cmgems.files import write_text
from cmgems.genome.alphabet import BASES
from cmgems.tokenization.kmer import SPECIAL_TOKENS, KmerTokenizer

SPECIAL_TOKENS_MAP = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def stock_tokenizer(tokenizer: KmerTokenizer) -> Tokenizer:
    """The Hugging Face tokenizer that gives the same ids as ``tokenizer``."""
    vocabulary = {token: index for index, token in enumerate(tokenizer.vocabulary())}
    stock = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    stock.normalizer = _kmer_words(tokenizer.k)
    stock.pre_tokenizer = WhitespaceSplit()
    stock.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", tokenizer.cls_id), ("[SEP]", tokenizer.sep_id)],
    )
    stock.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return stock


def _kmer_words(k: int) -> Normalizer:
    letters = BASES + "N"
    steps = [Replace(base.lower(), base) for base in BASES]
    steps += [Replace(Regex(r"\s+"), ""), Replace(Regex(f"[^{BASES}]"), "N")]
    for offset in range(k):
        # Lower-case letters inserted so far stand between the bases and are stepped over.
        skip = f"[{letters}]" + f"[{letters.lower()}]*[{letters}]" * (offset - 1) + f"[{letters.lower()}]*"
        ahead = skip if offset else ""
        steps += [Replace(Regex(f"(?={ahead}{letter})"), letter.lower()) for letter in letters]
    steps.append(Replace(Regex(f"[{letters}]"), " "))
    steps.append(Replace(Regex(rf"(?<![a-z])[a-z]{{1,{k - 1}}}(?![a-z])"), ""))
    steps += [Replace(letter.lower(), letter) for letter in letters]
    return NormalizerSequence(steps)


def write_stock(tokenizer: KmerTokenizer, folder: Path, max_tokens: int = 512) -> None:
    """Write ``tokenizer`` as a folder that ``AutoTokenizer.from_pretrained`` loads without remote code.

    Args:
        folder: Made if missing; files of the same names are replaced.
        max_tokens: Positions of the model it is for, [CLS] and [SEP] included.

    Raises:
        CmgemsError: if a file cannot be written.
    """
    config = {
        # With any other class, or none, transformers 5 turns every k-mer into [UNK] without a word.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
        **SPECIAL_TOKENS_MAP,
    }
    write_text(folder / "tokenizer.json", _json(json.loads(stock_tokenizer(tokenizer).to_str())))
    write_text(folder / "tokenizer_config.json", _json(config))
    write_text(folder / "special_tokens_map.json", _json(SPECIAL_TOKENS_MAP))
    write_text(folder / "vocab.txt", "".join(token + "\n" for token in tokenizer.vocabulary()))


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
