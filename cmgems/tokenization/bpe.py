"""Byte-pair encoding, as in DNABERT-2 (Zhou et al., ICLR 2024, arXiv 2306.15006), from a ``tokenizer.json``."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from tokenizers.models import BPE

from cmgems.config import input_path
from cmgems.errors import CmgemsError
from cmgems.files import sha256_of
from cmgems.genome import alphabet
from cmgems.tokenization.base import TOKENIZERS
from cmgems.tokenization.inputs import encode_alone, longest_row, spell

SPECIAL_TOKENS = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
TRIAL_BP = 24
MAKE_ONE = "give a BPE tokenizer.json over A, C, G, T, or make one with `cmgems tokenizer train`"


@dataclass(frozen=True, repr=False)
class BpeTokenizer:
    """Pieces of 1 bp and more, between [CLS] and [SEP], cut by the merges of a Hugging Face ``tokenizer.json``.

    Each ambiguous base is [UNK], and no piece reaches across one. The pieces of a sequence must spell it. Only
    ``content`` is compared and saved with a model, so a model folder does not depend on the file.

    Args:
        file: Where to read ``content``; its five special tokens must have the lowest ids, and all others be made of
            A, C, G and T.
        content: The JSON text itself, if there is no file.

    Raises:
        CmgemsError: if the file cannot be read or has another kind of tokenizer.
    """

    file: Path | None = input_path(sha256_of, None, compare=False)
    content: str = ""

    k: ClassVar[int] = 0
    stride: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.file is not None:
            object.__setattr__(self, "content", _read(self.file))
        if self.content:
            _check(self.stock, self.file or "the tokenizer")

    def __repr__(self) -> str:
        return f"BpeTokenizer(sha256 {hashlib.sha256(self.content.encode()).hexdigest()[:8]})"

    @cached_property
    def stock(self) -> Tokenizer:
        """The Hugging Face tokenizer, without truncation and padding.

        Raises:
            CmgemsError: if neither a file nor its content is given.
        """
        if not self.content:
            raise CmgemsError(
                "no BPE tokenizer", where="tokenizer.file", why="it is not set", fix=f"set it: {MAKE_ONE}"
            )
        try:
            return parse_stock(self.content)
        except ValueError as error:
            raise _unfit(self.file or "the tokenizer", f"not a tokenizer.json ({error})") from error

    @cached_property
    def _ids(self) -> dict[str, int]:
        return self.stock.get_vocab()

    @property
    def vocab_size(self) -> int:
        """Special tokens and pieces."""
        return len(self._ids)

    @cached_property
    def special_count(self) -> int:
        """Number of special tokens; at least five."""
        return min(index for token, index in self._ids.items() if _is_dna(token))

    @property
    def known_ids(self) -> range:
        """Ids of the pieces: all but the special tokens."""
        return range(self.special_count, self.vocab_size)

    @property
    def unk_id(self) -> int:
        return self._ids["[UNK]"]

    @property
    def cls_id(self) -> int:
        return self._ids["[CLS]"]

    @property
    def sep_id(self) -> int:
        return self._ids["[SEP]"]

    @property
    def pad_id(self) -> int:
        return self._ids["[PAD]"]

    @property
    def mask_id(self) -> int:
        return self._ids["[MASK]"]

    def token_count(self, bases: int) -> int:
        """The most tokens that ``bases`` bp make, [CLS] and [SEP] included: a piece has 1 bp or more."""
        return bases + 2

    def bases_for(self, tokens: int) -> int:
        """Length (bp) up to which every sequence fits ``tokens`` positions; most need a fifth of them."""
        return tokens - 2

    def encode_batch(
        self, codes_BL: npt.NDArray[np.uint8], lengths_B: npt.NDArray[np.int32], tokens: int
    ) -> npt.NDArray[np.int32]:
        """As ``cmgems.tokenization.Tokenizer.encode_batch``; ``tokens`` must be 2 or more."""
        longest_row(codes_BL, lengths_B)
        texts = [alphabet.decode(codes_L[:bp]) for codes_L, bp in zip(codes_BL, lengths_B, strict=True)]
        ids_BS = np.full((len(texts), tokens), self.pad_id, np.int32)
        ids_BS[:, 0] = self.cls_id
        for row_S, encoding in zip(
            ids_BS, self.stock.encode_batch_fast(texts, add_special_tokens=False), strict=True
        ):
            pieces = encoding.ids[: tokens - 2]
            row_S[1 : len(pieces) + 1] = pieces
            row_S[len(pieces) + 1] = self.sep_id
        return ids_BS

    def encode(self, sequence: str) -> npt.NDArray[np.int32]:
        """As ``cmgems.tokenization.Tokenizer.encode``."""
        return encode_alone(self, sequence)

    def vocabulary(self) -> list[str]:
        """The token of each id."""
        return sorted(self._ids, key=self._ids.__getitem__)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The bases that ``ids`` stand for; one N for each [MASK] and [UNK], nothing for the other special tokens."""
        return spell(self, ids)


def parse_stock(content: str) -> Tokenizer:
    """The Hugging Face tokenizer that a ``tokenizer.json`` describes, without truncation and padding.

    Raises:
        ValueError: if it describes none.
    """
    try:
        json.loads(content)  # the library takes some of what is no JSON
        stock = Tokenizer.from_str(content)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of the library is no Exception
        raise ValueError(str(error)) from error
    stock.no_truncation()
    stock.no_padding()
    return stock


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CmgemsError("cannot read the tokenizer", where=path, why=str(error), fix=MAKE_ONE) from error


def _is_dna(token: str) -> bool:
    return set(token) <= set(alphabet.BASES)


def _check(stock: Tokenizer, where: Path | str) -> None:
    """Raise unless it is BPE over bases with the special tokens first."""
    if not isinstance(stock.model, BPE):
        raise _unfit(where, f"its model is {type(stock.model).__name__}, not BPE")
    if stock.model.dropout:
        raise _unfit(where, "it drops merges at random")
    if stock.model.unk_token != "[UNK]" or stock.model.fuse_unk:
        raise _unfit(where, "it does not write [UNK] for each unknown letter")
    tokens = stock.get_vocab()
    if missing := [token for token in (*SPECIAL_TOKENS, *sorted(alphabet.BASES)) if token not in tokens]:
        raise _unfit(where, f"it has no token {missing[0]}")
    by_id = sorted(tokens, key=tokens.__getitem__)
    specials = next(index for index, token in enumerate(by_id) if _is_dna(token))
    if sorted(tokens.values()) != list(range(len(tokens))):
        raise _unfit(where, "its ids have gaps")
    if odd := [token for token in by_id[specials:] if not _is_dna(token)]:
        raise _unfit(where, f"the token {odd[0]!r} comes after the bases and is not made of A, C, G, T")
    if "N" in tokens:
        raise _unfit(where, "it has a token N, and an ambiguous base is [UNK] here")
    for sequence in _trials():
        if change := _changed(stock, sequence):
            raise _unfit(where, f"its pieces do not spell the sequence: {change}")


def _trials() -> Iterator[str]:
    """Each letter alone, runs of it, and random sequences with and without N; short enough for a message."""
    letters = alphabet.BASES + "N"
    yield from letters
    yield from (letter * TRIAL_BP for letter in letters)
    rng = random.Random(0)
    yield from ("".join(rng.choices(of, k=TRIAL_BP)) for of in (alphabet.BASES, letters) for _ in range(10))


def _changed(stock: Tokenizer, sequence: str) -> str:
    """Which step of a tokenizer turns a sequence into what; "" if the tokens spell it, with [UNK] for N."""
    normal = sequence
    if stock.normalizer is not None and (normal := stock.normalizer.normalize_str(sequence)) != sequence:
        return f"the normalizer turns {sequence!r} into {normal!r}"
    if stock.pre_tokenizer is not None:
        words = [word for word, _ in stock.pre_tokenizer.pre_tokenize_str(sequence)]
        if "".join(words) != sequence:
            return f"the pre_tokenizer turns {sequence!r} into {' '.join(words)!r}"
    tokens = stock.encode(sequence, add_special_tokens=False).tokens
    if "".join("N" if token == "[UNK]" else token for token in tokens) != sequence:
        return f"the model turns {sequence!r} into {' '.join(tokens)!r}"
    return ""


def _unfit(where: Path | str, why: str) -> CmgemsError:
    return CmgemsError("not a BPE tokenizer of DNA", where=where, why=why, fix=MAKE_ONE)


TOKENIZERS.add("bpe", BpeTokenizer())
