from cmgems.data.draws import count_draws, draw_shots, few_shot, published_draw
from cmgems.data.labelled import LabelledConfig, LabelledSet, labelled_batches, read_splits
from cmgems.data.leaks import leaked_rows
from cmgems.data.notes import data_notes

__all__ = [
    "LabelledConfig",
    "LabelledSet",
    "count_draws",
    "data_notes",
    "draw_shots",
    "few_shot",
    "labelled_batches",
    "leaked_rows",
    "published_draw",
    "read_splits",
]
