"""Our tokenizers as a tokenizer family of fairseq2.

A card says the registered tokenizer in ``tokenizer_config_overrides``. fairseq2 wants a file or folder of every
tokenizer: of a byte-pair tokenizer it is the ``tokenizer.json``; for the others any will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from fairseq2.data.tokenizers import (
    StandardTokenizerFamily,
    TokenDecoder,
    TokenEncoder,
    Tokenizer,
    TokenizerFamily,
    VocabularyInfo,
)
from fairseq2.device import Device
from fairseq2.runtime.dependency import DependencyResolver, wire_object
from torch import Tensor

from cmgems.config import Component, component, load_config
from cmgems.tokenization import TOKENIZERS
from cmgems.tokenization import Tokenizer as OwnTokenizer


@dataclass(frozen=True)
class TokenizerConfig:
    """A registered tokenizer.

    Attributes:
        name: Its name ("kmer6"); "bpe" reads the card's ``tokenizer.json``.
        options: Fields to replace.
    """

    name: str = "kmer6"
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class _Named:
    """A tokenizer as configs of cmgems name it."""

    tokenizer: Component = component(TOKENIZERS, "kmer6")


class DnaTokenizer(Tokenizer):
    """A tokenizer of cmgems for fairseq2.

    Args:
        name: Its registered name.
        own: The tokenizer itself.

    Attributes:
        name: See above.
        own: See above.
    """

    def __init__(self, name: str, own: OwnTokenizer) -> None:
        self.name, self.own = name, own

    def create_encoder(
        self,
        *,
        task: str | None = None,
        lang: str | None = None,
        mode: str | None = None,
        device: Device | None = None,
        pin_memory: bool = False,
    ) -> TokenEncoder:
        """Encodes DNA between [CLS] and [SEP].

        Raises:
            ValueError: for a task, language or mode: DNA has none.
        """
        if any((task, lang, mode)):
            raise ValueError("`task`, `lang` and `mode` must be `None` for DNA.")
        return DnaEncoder(self.own, device, pin_memory, special=True)

    def create_raw_encoder(self, *, device: Device | None = None, pin_memory: bool = False) -> TokenEncoder:
        """Encodes DNA without special tokens around it."""
        return DnaEncoder(self.own, device, pin_memory, special=False)

    def create_decoder(self, *, skip_special_tokens: bool = False) -> TokenDecoder:
        """Decodes ids to bases; special tokens around them stand for none."""
        return DnaDecoder(self.own)

    @property
    def vocab_info(self) -> VocabularyInfo:
        """Size and special tokens; the start is [CLS], the end [SEP] where there is one."""
        own = self.own
        end = None if own.sep_id == own.pad_id else own.sep_id
        return VocabularyInfo(own.vocab_size, own.unk_id, own.cls_id, end, own.pad_id)


class DnaEncoder(TokenEncoder):
    """Bases to ids; ``DnaTokenizer`` makes it."""

    def __init__(self, own: OwnTokenizer, device: Device | None, pin_memory: bool, *, special: bool) -> None:
        self._own, self._device, self._pin_memory = own, device, pin_memory
        self._special, self._ends = special, own.sep_id != own.pad_id

    def __call__(self, text: str) -> Tensor:
        """int64[S], the ids of a sequence.

        Raises:
            RecordError: if no token can be made of it, or it has a letter that is not an IUPAC nucleotide code.
        """
        ids = torch.from_numpy(self._own.encode(text)).long()
        if not self._special:
            ids = ids[1 : len(ids) - self._ends].clone()
        if self._pin_memory:
            ids = ids.pin_memory()
        return ids if self._device is None else ids.to(self._device)

    def encode_as_tokens(self, text: str) -> list[str]:
        """The tokens of a sequence."""
        vocabulary = self._own.vocabulary()
        return [vocabulary[i] for i in self(text).tolist()]

    @property
    def prefix_indices(self) -> Tensor | None:
        """[CLS]; None without special tokens."""
        return torch.tensor([self._own.cls_id], device=self._device) if self._special else None

    @property
    def suffix_indices(self) -> Tensor | None:
        """[SEP]; None without special tokens, and where none marks the end."""
        if not (self._special and self._ends):
            return None
        return torch.tensor([self._own.sep_id], device=self._device)


class DnaDecoder(TokenDecoder):
    """Ids to bases; ``DnaTokenizer`` makes it."""

    def __init__(self, own: OwnTokenizer) -> None:
        self._own = own

    def __call__(self, token_indices: Tensor) -> str:
        """The bases that ids int64[S] stand for, N where unknown."""
        return self._own.decode(token_indices.cpu().numpy())

    def decode_from_tokens(self, tokens: Sequence[str]) -> str:
        """The bases of tokens."""
        ids = {token: i for i, token in enumerate(self._own.vocabulary())}
        return self._own.decode([ids.get(token, self._own.unk_id) for token in tokens])


def load_tokenizer(path: Path, config: TokenizerConfig) -> DnaTokenizer:
    """The tokenizer that ``config`` names.

    Raises:
        ConfigError: if there is none of that name, or an option is unknown or of another type.
    """
    options = dict(config.options)
    if config.name == "bpe" and "content" not in options:
        options.setdefault("file", str(path / "tokenizer.json" if path.is_dir() else path))
    named = load_config(_Named, None, values=[{"tokenizer": {"name": config.name, **options}}])
    return DnaTokenizer(config.name, named.tokenizer.build(TOKENIZERS))


def tokenizer_family(resolver: DependencyResolver, name: str) -> TokenizerFamily:
    """The family called ``name``."""
    return wire_object(
        resolver,
        StandardTokenizerFamily,
        name=name,
        kls=DnaTokenizer,
        config_kls=TokenizerConfig,
        loader=load_tokenizer,
    )
