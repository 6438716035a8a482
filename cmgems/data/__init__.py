from cmgems.data.copies import Copies, find_copies
from cmgems.data.draws import count_draws, draw_shots, few_shot, published_draw
from cmgems.data.labelled import LabelledConfig, LabelledSet, labelled_batches, read_splits
from cmgems.data.leaks import leaked_rows, novel_rows
from cmgems.data.notes import data_notes
from cmgems.data.twins import count_twins

__all__ = [
    "Copies",
    "LabelledConfig",
    "LabelledSet",
    "count_draws",
    "count_twins",
    "data_notes",
    "draw_shots",
    "few_shot",
    "find_copies",
    "labelled_batches",
    "leaked_rows",
    "novel_rows",
    "published_draw",
    "read_splits",
]
