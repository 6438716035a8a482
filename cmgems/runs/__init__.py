"""A run and what it leaves behind: its folder, log, checkpoints, display and signals. Imports no torch."""

from cmgems.runs.checkpoints import CheckpointConfig, Checkpoints
from cmgems.runs.display import Display, LogConfig, rate_text, show_steps, step_text
from cmgems.runs.folder import Run, RunBusyError, open_run, share_folder, show_summary
from cmgems.runs.metric_log import MetricLog, perplexity, read_metric_log
from cmgems.runs.reader import RunReader
from cmgems.runs.signals import Stop, stop_signals

__all__ = [
    "CheckpointConfig",
    "Checkpoints",
    "Display",
    "LogConfig",
    "MetricLog",
    "Run",
    "RunBusyError",
    "RunReader",
    "Stop",
    "open_run",
    "perplexity",
    "rate_text",
    "read_metric_log",
    "share_folder",
    "show_steps",
    "show_summary",
    "step_text",
    "stop_signals",
]
