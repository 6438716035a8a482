"""Which of our tokenizers a Hugging Face folder has: told by its vocabulary, and by how it cuts sequences."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from tokenizers import Tokenizer as StockTokenizer
from tokenizers.models import BPE

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.genome import BASES
from cmgems.tokenization import TOKENIZERS, BpeTokenizer, Tokenizer, overlapping
from cmgems.tokenization.bpe import parse_stock

TRIALS, TRIAL_BP = 5, 50
OWN = "name the model's own with --tokenizer, or register it in a plugin"


def read_tokenizer(folder: Path, name: str | None = None) -> tuple[str, Tokenizer]:
    """The registered name of a folder's tokenizer, and the tokenizer itself.

    Args:
        folder: May hold ``vocab.txt`` and ``tokenizer.json``.
        name: Of a registered tokenizer; None finds the one with the folder's vocabulary.

    Raises:
        CheckpointError: if a file cannot be read, has other tokens than the tokenizer or the same in another order, or
            cuts sequences otherwise.
        CmgemsError: if no tokenizer is registered that has the folder's vocabulary, or none by this name.
    """
    file = folder / "tokenizer.json"
    stock = _read_stock(file) if file.is_file() else None
    vocabularies = _vocabularies(folder, stock)
    name = name or _find(folder, stock, vocabularies)
    tokenizer = BpeTokenizer(file) if name == "bpe" else TOKENIZERS.get(name)
    for path, tokens in vocabularies.items():
        _compare(path, tokens, name, tokenizer)
    if stock is not None and name != "bpe":  # which has read the file itself
        _try(file, stock, name, tokenizer)
    return name, tokenizer


def _read_stock(file: Path) -> StockTokenizer:
    try:
        return parse_stock(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            "cannot read the tokenizer", where=file, why=str(error), fix="download it again"
        ) from error


def _vocabularies(folder: Path, stock: StockTokenizer | None) -> dict[Path, list[str]]:
    """The token of each id by the file that says so, "" where an id has none."""
    found: dict[Path, list[str]] = {}
    text = folder / "vocab.txt"
    if text.is_file():
        try:
            found[text] = text.read_text(encoding="utf-8-sig").split()
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(
                "cannot read", where=text, why=str(error), fix="download it again"
            ) from error
    if stock is not None:
        tokens = {index: token for token, index in stock.get_vocab().items()}
        found[folder / "tokenizer.json"] = [
            tokens.get(index, "") for index in range(max(tokens, default=-1) + 1)
        ]
    return found


def _find(folder: Path, stock: StockTokenizer | None, vocabularies: Mapping[Path, Sequence[str]]) -> str:
    """The name of the tokenizer with the vocabulary of the folder."""
    if stock is not None and isinstance(stock.model, BPE):
        return "bpe"
    registered = {
        name: tokenizer.vocabulary()
        for name in reversed(TOKENIZERS.names())  # kmer6 before its other name, kmer
        if not isinstance(tokenizer := TOKENIZERS.get(name), BpeTokenizer)
    }
    for path, tokens in vocabularies.items():
        for name, vocabulary in registered.items():
            if vocabulary == tokens:
                return name
        nearest = max(registered, key=lambda name: len({*registered[name]} & {*tokens}))
        raise _other_vocabulary(path, tokens, nearest, registered[nearest])
    raise CmgemsError(
        "no tokenizer",
        where=folder,
        why="neither tokenizer.json nor vocab.txt is there",
        fix=f"name it with --tokenizer: {', '.join(TOKENIZERS.names())}",
    )


def _compare(path: Path, tokens: Sequence[str], name: str, tokenizer: Tokenizer) -> None:
    """Raise unless a file has exactly the tokens of the tokenizer, in their order."""
    if (vocabulary := tokenizer.vocabulary()) != tokens:
        raise _other_vocabulary(path, tokens, name, vocabulary)


def _other_vocabulary(
    path: Path, tokens: Sequence[str], name: str, vocabulary: Sequence[str]
) -> CheckpointError:
    pairs = enumerate(zip_longest(tokens, vocabulary, fillvalue=""))
    index, (theirs, ours) = next((index, pair) for index, pair in pairs if pair[0] != pair[1])
    return CheckpointError(
        "another vocabulary",
        where=path,
        why=f"token {index} is {theirs or 'missing'}, that of tokenizer {name!r} is {ours or 'none'}",
        fix=f"embeddings would be those of other tokens; {OWN}",
    )


def _try(file: Path, stock: StockTokenizer, name: str, tokenizer: Tokenizer) -> None:
    """Raise unless a ``tokenizer.json`` makes the ids of the tokenizer, of bases or of k-mers as words."""
    rng = random.Random(0)
    sequences = ["".join(rng.choices(BASES, k=TRIAL_BP)) for _ in range(TRIALS)]
    around = {tokenizer.cls_id, tokenizer.sep_id}
    expected = [[i for i in tokenizer.encode(sequence).tolist() if i not in around] for sequence in sequences]
    forms = [sequences]
    if overlapping(tokenizer):
        k = tokenizer.k
        forms.append([" ".join(s[i : i + k] for i in range(len(s) - k + 1)) for s in sequences])
    found = [[stock.encode(text, add_special_tokens=False).ids for text in texts] for texts in forms]
    if expected not in found:
        words = tokenizer.vocabulary()
        theirs, ours = (" ".join(words[i] for i in ids[0][:3]) for ids in (found[0], expected))
        raise CheckpointError(
            "another tokenizer",
            where=file,
            why=f"it cuts {sequences[0][:12]}... into {theirs} ..., tokenizer {name!r} into {ours} ...",
            fix=OWN,
        )
