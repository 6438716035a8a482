"""Pictures of a run."""

from cmgems.report.plots import plot_pretraining

__all__ = ["plot_pretraining"]
