"""``cmgems tokenizer``: tokenizers as Hugging Face folders, and BPE vocabularies learned from a genome."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.outcome import wrote

app = typer.Typer(help="Make tokenizers that Hugging Face loads.", no_args_is_help=True)


@app.command()
def build(
    name: Annotated[
        str, typer.Argument(help="Registered tokenizer: base, kmer3, kmer4, kmer5, kmer6, nt_v1 or nt_v2.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    force: Annotated[bool, typer.Option("--force", help="Write into an existing folder.")] = False,
) -> None:
    """Write a tokenizer as a stock Hugging Face folder (no remote code, no network).

    Example: cmgems tokenizer build kmer6 -o tokenizers/dnabert6
    """
    from cmgems.errors import CmgemsError
    from cmgems.files import check_new
    from cmgems.tokenization import TOKENIZERS, StockTokenizer, write_stock

    tokenizer = TOKENIZERS.get(name)
    if not isinstance(tokenizer, StockTokenizer):
        raise CmgemsError(
            "no stock form", where=f"tokenizer {name!r}", fix="choose base, a k-mer tokenizer, nt_v1 or nt_v2"
        )
    check_new(out, force=force)
    write_stock(tokenizer, out)
    wrote(out, f"{tokenizer.vocab_size} tokens")


@app.command()
def train(
    store: Annotated[Path, typer.Argument(help="Genome store made by `cmgems genome build`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="tokenizer.json to write.")],
    vocab_size: Annotated[
        int, typer.Option(help="Tokens: 5 special ones, 4 bases, and their merges.")
    ] = 4096,
    sample_mbp: Annotated[
        float, typer.Option(help="Mbp of random windows to learn from; each takes 70 MB of memory.")
    ] = 20.0,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Learn a BPE vocabulary from a genome, with DNABERT-2's special tokens.

    Configs use it with tokenizer=bpe tokenizer.file=tokenizer.json.

    Example: cmgems tokenizer train human.store --vocab-size 4096 -o tokenizer.json
    """
    from cmgems.files import check_file, check_new, write_text
    from cmgems.genome import GenomeStore
    from cmgems.tokenization.bpe_training import train_bpe

    check_file(out)
    check_new(out, force=force, file=True)
    content = train_bpe(GenomeStore.open(store), vocab_size, sample_mbp)
    write_text(out, content)
    wrote(out, f"{vocab_size} tokens")
