"""``cmgems mask``: see what the masking strategies hide."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cmgems.cli.recipes import Plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from cmgems.genome import FastaRecord
    from cmgems.masking import Strategy, TokenBatch
    from cmgems.report.masks import Block
    from cmgems.tokenization import Tokenizer

app = typer.Typer(help="See what the masking strategies hide.", no_args_is_help=True)

EASY_TO_HARD = ("uniform", "random_span", "genemask", "annealed", "global_pmi")
WINDOW_BP = 510
CALIBRATION_WINDOWS = 400


class RankedBy(StrEnum):
    """How ranks are looked up: by token as the papers say, or by position as the released code does."""

    token = "token"
    position = "position"


Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        help="May be given several times; all if left out (without --table those that need none).",
    ),
]
Table = Annotated[Path | None, typer.Option("--table", help="PMI table that ranks the k-mers.")]
K = Annotated[int, typer.Option("--k", help="Length of the k-mers (bp), 3 to 6.")]
Rate = Annotated[float | None, typer.Option("--rate", help="Nominal rate, as in the papers (0.15).")]
TargetRate = Annotated[
    float | None, typer.Option("--target-rate", help="Share of tokens to mask in fact, instead of --rate.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**64 - 1, help="Another seed, another mask.")]


@app.command()
def preview(
    fasta: Annotated[Path, typer.Argument(help="FASTA file.")],
    strategy: Strategies = None,
    table: Table = None,
    k: K = 6,
    rate: Rate = None,
    target_rate: TargetRate = None,
    seed: Seed = 0,
    rank_by: Annotated[
        RankedBy,
        typer.Option("--rank-by", help="`position` ranks as the code released with the papers does."),
    ] = RankedBy.token,
    max_bp: Annotated[int, typer.Option("--max-bp", min=10, help="Bases shown of a sequence.")] = 200,
    sequences: Annotated[int, typer.Option("--sequences", min=1, help="Sequences shown.")] = 3,
    html: Annotated[Path | None, typer.Option("--html", help="Write it as a web page too.")] = None,
    plugin: Plugins = None,
) -> None:
    """Show sequences as each strategy masks them.

    Example: cmgems mask preview genome.fa --table pmi.safetensors --strategy random_span --strategy global_pmi
    """
    from rich.console import Console

    from cmgems.files import write_text
    from cmgems.plugins import load_plugins
    from cmgems.report.masks import preview_page, preview_text

    load_plugins(plugin or [])
    masking = _Masking(fasta, strategy, table, k, rate, target_rate, seed)
    named = _sequences(fasta, max_bp, sequences)
    shown = masking.batch([codes for _, codes in named], rank_by.value)
    blocks = [masking.block(name, shown, named, rank_by.value) for name in masking.names]
    if html is not None:
        write_text(html, preview_page(blocks, f"Masks of {fasta.name}"))
    Console(highlight=False, soft_wrap=True).print(preview_text(blocks))


@app.command()
def stats(
    source: Annotated[Path, typer.Argument(metavar="STORE_or_FASTA", help="Genome store or FASTA file.")],
    strategy: Strategies = None,
    table: Table = None,
    k: K = 6,
    rate: Rate = None,
    target_rate: TargetRate = None,
    seed: Seed = 0,
    sequences: Annotated[int, typer.Option("--sequences", min=1, help="Windows of 510 bp to mask.")] = 400,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the figures as CSV too.")] = None,
    plugin: Plugins = None,
) -> None:
    """Measure how much each strategy hides, where, and how hard it is to guess.

    Example: cmgems mask stats genome.store --table pmi.safetensors --csv masks.csv
    """
    from cmgems.files import write_text
    from cmgems.masking import STRATEGIES, needs_ranks
    from cmgems.masking.stats import mask_stats
    from cmgems.plugins import load_plugins
    from cmgems.report.masks import stats_csv, stats_table

    load_plugins(plugin or [])
    masking = _Masking(source, strategy, table, k, rate, target_rate, seed)
    windows = _windows(source, sequences, k, seed)
    rows = []
    for name in masking.names:
        forms: tuple[Literal["token", "position"], ...] = ("token", "position")
        for rank_by in forms if needs_ranks(name) else forms[:1]:
            batch = masking.at_rate(name, masking.batch(windows, rank_by), rank_by)
            rows.append(
                mask_stats(
                    batch,
                    masking.tokenizer,
                    name,
                    STRATEGIES.get(name),
                    token_ranks_V=masking.token_ranks_V if masking.table else None,
                    rank_by=rank_by if needs_ranks(name) else None,
                )
            )
    if csv is not None:
        write_text(csv, stats_csv(rows))
    typer.echo(stats_table(rows))
    typer.echo(
        f"\n{len(windows)} windows of up to {WINDOW_BP} bp. tokens: share of tokens masked; bases hidden: no k-mer "
        "left shows them;\npositions: places of a window that are ever masked; ranks: masked tokens by tenth of the "
        "ranking."
    )


class _Masking:
    """The options that both commands share, checked and loaded."""

    def __init__(
        self,
        source: Path,
        names: list[str] | None,
        table: Path | None,
        k: int,
        rate: float | None,
        target_rate: float | None,
        seed: int,
    ) -> None:
        import numpy as np

        from cmgems.errors import CmgemsError
        from cmgems.masking import STRATEGIES, MaskingConfig, needs_ranks
        from cmgems.masking.strategies import needs_table
        from cmgems.pmi import PMITable
        from cmgems.tokenization import KmerTokenizer

        if rate is not None and target_rate is not None:
            raise CmgemsError("--rate and --target-rate are both set", fix="give one of them")
        config = MaskingConfig(target_rate=target_rate) if rate is None else MaskingConfig(rate=rate)
        self.rate, self.target_rate = config.rate, target_rate
        self.source, self.table, self.seed = source, table, seed
        self.tokenizer: Tokenizer = KmerTokenizer(k)
        self.names = names or [name for name in EASY_TO_HARD if table is not None or not needs_ranks(name)]
        for name in self.names:
            STRATEGIES.get(name)
            if table is None and needs_ranks(name):
                raise needs_table(name, "--table", "give --table pmi.safetensors")
        self.token_ranks_V = (
            np.zeros(self.tokenizer.vocab_size, np.int32)
            if table is None
            else PMITable.load(table).token_ranks(self.tokenizer)
        )

    def batch(self, sequences: list[np.ndarray], rank_by: Literal["token", "position"]) -> TokenBatch:
        """The sequences (base codes) as unmasked tokens."""
        import numpy as np

        from cmgems.masking import TokenBatch

        return TokenBatch.of(
            self._ids(sequences),
            np.arange(len(sequences), dtype=np.uint64),
            self.tokenizer,
            self.token_ranks_V,
            rate=self.rate,
            seed=self.seed,
            rank_by=rank_by,
        )

    def _ids(self, sequences: list[np.ndarray]) -> np.ndarray:
        import numpy as np

        lengths_B = np.array([len(codes) for codes in sequences], np.int32)
        codes_BL = np.full((len(sequences), lengths_B.max()), 255, np.uint8)
        for row, codes in zip(codes_BL, sequences, strict=True):
            row[: len(codes)] = codes
        tokens = self.tokenizer.token_count(int(lengths_B.max()))
        return self.tokenizer.encode_batch(codes_BL, lengths_B, tokens)

    def at_rate(self, name: str, batch: TokenBatch, rank_by: Literal["token", "position"]) -> TokenBatch:
        """The batch at the nominal rate that gives the target rate on windows of the source."""
        from dataclasses import replace

        from cmgems.masking import STRATEGIES
        from cmgems.masking.calibration import Calibration

        if self.target_rate is None:
            return batch
        windows = _windows(self.source, CALIBRATION_WINDOWS, self.tokenizer.k, self.seed)
        calibration = Calibration(
            [self._ids(windows)], self.tokenizer, self.token_ranks_V, self.target_rate, self.seed, rank_by
        )
        return replace(batch, rate=calibration.rate(name, STRATEGIES.get(name)))

    def block(
        self,
        name: str,
        batch: TokenBatch,
        named: list[tuple[str, np.ndarray]],
        rank_by: Literal["token", "position"],
    ) -> Block:
        """The sequences as one strategy masks them."""
        import numpy as np

        from cmgems.genome import decode
        from cmgems.masking import STRATEGIES, needs_ranks
        from cmgems.masking.stats import base_states, rank_tenths
        from cmgems.report.masks import Block, MaskedSequence

        strategy: Strategy = STRATEGIES.get(name)
        mask_BS = strategy.select(self.at_rate(name, batch, rank_by))
        k = self.tokenizer.k
        states_BL = base_states(mask_BS, batch.maskable_BS, k, self.tokenizer.stride)
        sequences = []
        for b, (title, codes) in enumerate(named):
            tenths = ""
            if self.table is not None:
                ids = batch.ids_BS[b, 1 : max(len(codes) - k + 1, 0) + 1]
                digits = rank_tenths(self.token_ranks_V[ids], 4**k)
                known = ids >= self.tokenizer.special_count
                tenths = "".join(str(d) if ok else " " for d, ok in zip(digits, known, strict=True))
                tenths = tenths.ljust(len(codes))
            sequences.append(MaskedSequence(title, decode(codes), states_BL[b, : len(codes)], tenths))
        share = np.count_nonzero(mask_BS) / max(1, int(np.count_nonzero(batch.maskable_BS)))
        ranked = f" (ranked by {rank_by})" if needs_ranks(name) else ""
        return Block(name + ranked, f"{100 * share:.1f} % of the tokens masked", tuple(sequences))


def _sequences(fasta: Path, max_bp: int, count: int) -> list[tuple[str, np.ndarray]]:
    """The beginnings of the first sequences that hold bases; if only one does, its first pieces."""
    from itertools import islice

    from cmgems.errors import DataError
    from cmgems.genome import encode, read_fasta

    def pieces(record: FastaRecord) -> Iterator[tuple[str, np.ndarray]]:
        for start in range(0, len(record.sequence), max_bp):
            codes = encode(record.sequence[start : start + max_bp])
            if (codes < 4).any():
                yield f"{record.name}:{start + 1}-{start + len(codes)}", codes

    first_pieces = (list(islice(pieces(record), count)) for record in read_fasta(fasta))
    found = list(islice(filter(None, first_pieces), count))
    if not found:
        raise DataError("no A, C, G or T", where=fasta, fix="give a FASTA file of DNA")
    return found[0] if len(found) == 1 else [of_record[0] for of_record in found]


def _windows(source: Path, count: int, k: int, seed: int) -> list[np.ndarray]:
    """``count`` windows of a store or FASTA file, or all it has, in random order: base codes without N."""
    import numpy as np

    from cmgems.errors import DataError
    from cmgems.genome import AMBIGUOUS, SAMPLERS, GenomeStore, encode, read_fasta
    from cmgems.genome.store import maximal_runs

    pieces: list[np.ndarray]
    if source.is_dir():
        store = GenomeStore.open(source)
        sampler = SAMPLERS.build("tiled", max_bp=WINDOW_BP, min_bp=k)
        starts_N, lengths_N = sampler.windows(store, store.runs, seed, 0)
        pieces = [
            store.codes[start : start + length]
            for start, length in zip(starts_N[:count], lengths_N[:count], strict=True)
        ]
    else:
        every = []
        for record in read_fasta(source):
            codes = encode(record.sequence)
            for first, end in maximal_runs(codes != AMBIGUOUS, np.empty(0, np.int64)):
                run = codes[first:end]
                every += [run[start : start + WINDOW_BP] for start in range(0, len(run), WINDOW_BP)]
        every = [codes for codes in every if len(codes) >= k]
        order = np.random.default_rng(seed).permutation(len(every))[:count]
        pieces = [every[i] for i in order]
    if not pieces:
        raise DataError(f"no stretch of {k} bases A, C, G, T", where=source, fix="give more sequence")
    return pieces
