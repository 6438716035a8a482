"""The page about pretraining and fine-tuning runs: what they logged, what each phase masked, what they scored."""

from cmgems.report.runs.report import write_report

__all__ = ["write_report"]
