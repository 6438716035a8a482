"""``cmgems tokenizer``: tokenizers as Hugging Face folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make tokenizer folders that Hugging Face loads.", no_args_is_help=True)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="Registered tokenizer: kmer3, kmer4, kmer5 or kmer6.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
) -> None:
    """Write a tokenizer as a stock Hugging Face folder (no remote code, no network).

    Example: cmgems tokenizer build kmer6 -o tokenizers/dnabert6
    """
    from cmgems.errors import CmgemsError
    from cmgems.tokenization import TOKENIZERS, KmerTokenizer, write_stock

    tokenizer = TOKENIZERS.get(name)
    if not isinstance(tokenizer, KmerTokenizer):
        raise CmgemsError("no stock form", where=f"tokenizer {name!r}", fix="choose a k-mer tokenizer")
    write_stock(tokenizer, output)
    typer.echo(f"{output}: {tokenizer.vocab_size} tokens")
