"""What the phases of a run mask: the NPMI of the tokens that its own masking hides in its own windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.masking import STRATEGIES, CurriculumState, Masker, Strategy, mask_batch
from cmgems.masking.curriculum import tenth_loss_key
from cmgems.masking.ranks import TENTHS
from cmgems.models import ModelSource
from cmgems.pmi import PMITable
from cmgems.pmi.definitions import kmer
from cmgems.pmi.strings import string_npmi
from cmgems.pretraining import PretrainingData
from cmgems.report.runs.logged import Floats, LoggedRun
from cmgems.report.runs.phases import strategies, switches
from cmgems.report.runs.sections import Sections
from cmgems.tokenization import Tokenizer

SAMPLE_TOKENS = 100_000


@dataclass(frozen=True)
class PhaseMask:
    """What one phase hides of the sampled windows.

    Attributes:
        label: The strategy, with the step if it changes on the way.
        number: Of its strategy, in the order of the run; -1 for all tokens without a mask.
        share: Of the maskable tokens.
        npmi_M: float64, of the hidden tokens that have a score.
        ranks_M: int32, of all hidden tokens, 1 = most tightly bound.
    """

    label: str
    number: int
    share: float
    npmi_M: Floats
    ranks_M: npt.NDArray[np.int32]


def load_table(sections: Sections) -> PMITable:
    """The PMI table of the run's masking.

    Raises:
        CmgemsError: if there is none, it cannot be read, or it scores no k-mer.
    """
    if sections.masking.table is None:
        raise CmgemsError("the run has no PMI table")
    table = PMITable.load(sections.masking.table)
    if not np.isfinite(table.npmi).any():
        raise CmgemsError("the PMI table scores no k-mer", where=sections.masking.table)
    return table


def token_npmi(table: PMITable, tokenizer: Tokenizer) -> Floats:
    """NPMI of each word of ``Ranks.of_words``, in its order: float64; NaN for what has none."""
    tokens = tokenizer.vocabulary()
    if tokenizer.k == 1:
        scores = np.append(table.npmi, np.nan)
    elif tokenizer.k:
        by_kmer = {kmer(number, table.k): npmi for number, npmi in enumerate(table.npmi.tolist())}
        scores = np.array([by_kmer.get(token, -np.inf) for token in tokens])
    else:
        scores = string_npmi(tokens, table.count, table.k)
    return np.where(np.isfinite(scores), scores, np.nan)


def sample_masks(run: LoggedRun, sections: Sections, table: PMITable) -> list[PhaseMask]:
    """Mask the same windows of the run's training data as each of its phases does; first, all of their tokens.

    Raises:
        CmgemsError: if the genome store is missing or does not fit.
    """
    # The config of a run made before version 0.3 names a tokenizer also beside a folder, which brings its own.
    source = ModelSource.of(sections.model, None if sections.model.folder else sections.tokenizer)
    tokenizer, model = source.tokenizer, source.config
    data = PretrainingData(sections.data, tokenizer, model.max_positions, sections.seed)
    masker = Masker(sections.masking, tokenizer, sections.steps, sections.seed)
    windows = list(data.sample(SAMPLE_TOKENS, data.soft_mask(masker)))
    if sections.masking.target_rate is not None:
        masker.calibrate(window.ids_BS for window in windows)
    words = [masker.ranks.words(window.ids_BS) for window in windows]
    known = np.concatenate(
        [
            words_BS[np.isin(window.ids_BS, tokenizer.known_ids)]
            for window, words_BS in zip(windows, words, strict=True)
        ]
    )
    npmi_V = token_npmi(table, tokenizer)

    def measured(label: str, number: int, ids_M: npt.NDArray[np.int32]) -> PhaseMask:
        npmi_M = npmi_V[ids_M]
        return PhaseMask(
            label,
            number,
            len(ids_M) / max(1, len(known)),
            npmi_M[~np.isnan(npmi_M)],
            masker.ranks.of_words[ids_M],
        )

    found = [measured("all tokens", -1, known)]
    for label, number, strategy, rate in _phase_strategies(run, masker):
        name = strategies(run)[number]
        hidden, first = [], 0
        for window, words_BS in zip(windows, words, strict=True):
            batch = mask_batch(
                window.ids_BS,
                np.arange(first, first + len(window.ids_BS), dtype=np.uint64),
                masker.ranks,
                (name, strategy),
                rate=rate,
                seed=sections.seed,
                rank_by=sections.masking.rank_by,
                soft_BS=window.soft_BS,
                soft_mask=sections.masking.soft_mask,
            )
            hidden.append(words_BS.flat[batch.positions_M])
            first += len(window.ids_BS)
        found.append(measured(label, number, np.concatenate(hidden)))
    return found


def _phase_strategies(run: LoggedRun, masker: Masker) -> list[tuple[str, int, Strategy, float]]:
    """(label, number of the strategy, strategy, nominal rate) at the first logged step of each, and at the last if
    either changed."""
    taken = [step for step, _ in switches(run)]
    found: list[tuple[str, int, Strategy, float]] = []
    for number, name in enumerate(strategies(run)):
        steps = [step for step, logged in run.texts("strategy") if logged == name]
        ends = []
        for step in (steps[0], steps[-1]):
            switched = max((at for at in taken if at < step), default=None)
            masker.state = CurriculumState(switched_at=switched, tenth_losses=_tenth_losses(run, step))
            chosen, strategy = masker.strategy(step - 1)
            strategy = strategy if chosen == name else STRATEGIES.get(name)
            ends.append((strategy, masker.rate(name, strategy, step - 1)))
        if ends[0] == ends[1]:
            found.append((name, number, *ends[0]))
        else:
            found += [
                (f"{name} at step {s:,}", number, *e)
                for s, e in zip((steps[0], steps[-1]), ends, strict=True)
            ]
    return found


def _tenth_losses(run: LoggedRun, step: int) -> tuple[float, ...]:
    """What the curriculum knew of the losses of the tenths of the ranking at a step, from 1; empty if nothing."""
    keys = [tenth_loss_key(tenth) for tenth in range(TENTHS)]
    known = [record for record in run.records if record["step"] < step and keys[0] in record]
    return tuple(known[-1][key] for key in keys) if known else ()
