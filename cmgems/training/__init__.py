"""The parts that recipes share: the step, optimizer, checkpoints, metrics and what a run shows."""

from cmgems.distributed import World, open_world
from cmgems.training.checkpoint import (
    CheckpointConfig,
    Checkpoints,
    load_training_state,
    save_training_state,
)
from cmgems.training.compute import Compute, ComputeConfig, start_compute
from cmgems.training.display import LogConfig, rate_text, show_steps
from cmgems.training.metrics import MetricsLog, read_metrics
from cmgems.training.optim import OptimConfig, apply_gradients, build_optimizer, learning_rate
from cmgems.training.predict import predict_probabilities
from cmgems.training.run import Run, open_run, read_summary, show_summary
from cmgems.training.step import StepResult, train_step, unigram_entropy, validate
from cmgems.training.tasks import TASKS, Classification, Task

__all__ = [
    "TASKS",
    "CheckpointConfig",
    "Checkpoints",
    "Classification",
    "Compute",
    "ComputeConfig",
    "LogConfig",
    "MetricsLog",
    "OptimConfig",
    "Run",
    "StepResult",
    "Task",
    "World",
    "apply_gradients",
    "build_optimizer",
    "learning_rate",
    "load_training_state",
    "open_run",
    "open_world",
    "predict_probabilities",
    "rate_text",
    "read_metrics",
    "read_summary",
    "save_training_state",
    "show_steps",
    "show_summary",
    "start_compute",
    "train_step",
    "unigram_entropy",
    "validate",
]
