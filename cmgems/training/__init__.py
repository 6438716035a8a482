"""The parts that recipes share: the step, optimizer, checkpoints, metrics and what a run shows."""

from cmgems.distributed import World, open_world
from cmgems.training.checkpoint import CheckpointConfig, Checkpoints
from cmgems.training.compute import Compute, ComputeConfig, start_compute
from cmgems.training.display import LogConfig, rate_text, show_steps, step_text
from cmgems.training.meter import Meter, perplexity
from cmgems.training.metrics import MetricsLog, read_metrics
from cmgems.training.optim import OptimConfig, apply_gradients, build_optimizer, learning_rate
from cmgems.training.parallel import ParallelConfig, prepare_model
from cmgems.training.predict import activate, predict_logits
from cmgems.training.profiling import profiled
from cmgems.training.run import Run, RunBusyError, open_run, read_summary, share_folder, show_summary
from cmgems.training.saver import Saver
from cmgems.training.signals import Stop, stop_signals
from cmgems.training.step import MaskedLMLoss, StepResult, train_step, unigram_entropy, validate
from cmgems.training.tasks import TASKS, Classification, Task
from cmgems.training.training_state import load_training_state, save_training_state
from cmgems.training.trouble import (
    TroubleConfig,
    Watch,
    memory_advice,
    out_of_memory,
    stop_if_hopeless,
    take,
)

__all__ = [
    "TASKS",
    "CheckpointConfig",
    "Checkpoints",
    "Classification",
    "Compute",
    "ComputeConfig",
    "LogConfig",
    "MaskedLMLoss",
    "Meter",
    "MetricsLog",
    "OptimConfig",
    "ParallelConfig",
    "Run",
    "RunBusyError",
    "Saver",
    "StepResult",
    "Stop",
    "Task",
    "TroubleConfig",
    "Watch",
    "World",
    "activate",
    "apply_gradients",
    "build_optimizer",
    "learning_rate",
    "load_training_state",
    "memory_advice",
    "open_run",
    "open_world",
    "out_of_memory",
    "perplexity",
    "predict_logits",
    "prepare_model",
    "profiled",
    "rate_text",
    "read_metrics",
    "read_summary",
    "save_training_state",
    "share_folder",
    "show_steps",
    "show_summary",
    "start_compute",
    "step_text",
    "stop_if_hopeless",
    "stop_signals",
    "take",
    "train_step",
    "unigram_entropy",
    "validate",
]
