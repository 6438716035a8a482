"""The parts that training loops share: the step, optimizer, device, saving, and what watches over them."""

from cmgems.training.bad_batch import stop_if_diverged
from cmgems.training.compute import Compute, ComputeConfig, resolve_compute, start_compute
from cmgems.training.cuda_graphs import begin_pass, choose_graphs
from cmgems.training.late import Clock, LateCopy, Later, Moment, seconds_between
from cmgems.training.memory import out_of_memory, passes
from cmgems.training.meter import Lap, Meter
from cmgems.training.optim import OptimConfig, apply_gradients, build_optimizer, learning_rate
from cmgems.training.parallel import ParallelConfig, exchanging, prepare_model
from cmgems.training.profiling import profiled
from cmgems.training.rows_at_once import RowsAtOnce
from cmgems.training.saver import Saver
from cmgems.training.state import load_weights
from cmgems.training.step import (
    MaskedLMLoss,
    StartedStep,
    StepResult,
    Validation,
    train_step,
    unigram_entropy,
    validate,
)
from cmgems.training.watch import TroubleConfig, Watch

__all__ = [
    "Clock",
    "Compute",
    "ComputeConfig",
    "Lap",
    "LateCopy",
    "Later",
    "MaskedLMLoss",
    "Meter",
    "Moment",
    "OptimConfig",
    "ParallelConfig",
    "RowsAtOnce",
    "Saver",
    "StartedStep",
    "StepResult",
    "TroubleConfig",
    "Validation",
    "Watch",
    "apply_gradients",
    "begin_pass",
    "build_optimizer",
    "choose_graphs",
    "exchanging",
    "learning_rate",
    "load_weights",
    "out_of_memory",
    "passes",
    "prepare_model",
    "profiled",
    "resolve_compute",
    "seconds_between",
    "start_compute",
    "stop_if_diverged",
    "train_step",
    "unigram_entropy",
    "validate",
]
