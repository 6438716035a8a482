"""Pretrain a gene transformer by masked language modelling with a masking curriculum.

Copy it (`cmgems cp pretrain ./my_pretrain.py`), change what you like, and run the copy the same way:
`cmgems run ./my_pretrain.py --config logo ...`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from cmgems.config import Component, component
from cmgems.distributed import World, open_world
from cmgems.errors import CmgemsError
from cmgems.files import is_there, write_json
from cmgems.masking import MaskedBatch, Masker, MaskingConfig, micro_batches
from cmgems.models import MODELS, ModelSource, model_content
from cmgems.pretraining import FixedValidation, GenomeData, PretrainingData, measure_baselines
from cmgems.runs import (
    CheckpointConfig,
    Display,
    LogConfig,
    MetricLog,
    Run,
    layout,
    open_run,
    perplexity,
    show_steps,
    step_text,
    stop_signals,
    summary,
)
from cmgems.tokenization import TOKENIZERS
from cmgems.training import (
    Compute,
    ComputeConfig,
    Lap,
    Later,
    MaskedLMLoss,
    Meter,
    OptimConfig,
    ParallelConfig,
    RowsAtOnce,
    Saver,
    StartedStep,
    TroubleConfig,
    Watch,
    build_optimizer,
    choose_graphs,
    learning_rate,
    prepare_model,
    profiled,
    start_compute,
    stop_if_diverged,
    train_step,
    unigram_entropy,
    validate,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a pretraining run depends on.

    Attributes:
        steps: Optimizer steps of the whole run.
        sequences: Sequences in one optimizer step, over all processes. How many go through the model at once is
            `compute.micro_batch`.
        seed: Decides weights, order, windows and masks.
        model: A registered model with random weights; or a run, checkpoint or model folder, which brings its weights,
            config and tokenizer. Optimizer, schedule and curriculum start from the beginning.
        tokenizer: That of a registered model; beside a folder it must be the folder's own.
    """

    steps: int = 10_000
    sequences: int = 250
    seed: int = 0
    model: Component = component(MODELS, "logo", or_folder=True, content=model_content)
    tokenizer: Component | None = component(TOKENIZERS, "kmer6", owner="model")
    data: GenomeData
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    validation: FixedValidation = field(default_factory=FixedValidation)
    optim: OptimConfig = field(default_factory=OptimConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    log: LogConfig = field(default_factory=LogConfig)
    trouble: TroubleConfig = field(default_factory=TroubleConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.sequences < 1:
            raise CmgemsError("`steps` and `sequences` must be 1 or more")
        if not 0 <= self.seed < 2**64:
            raise CmgemsError(f"`seed` must be from 0 to 2^64 - 1, but is {self.seed}")


@dataclass(frozen=True, eq=False)
class Taken:
    """A step that a GPU may still be at: its number, from 1, and what its record is made from."""

    step: int
    batch: MaskedBatch
    lr: float
    started: StartedStep
    lap: Lap


class Pretraining:
    """What a run works with, and the state that its checkpoints hold."""

    def __init__(self, config: Config, compute: Compute, world: World, run: Run) -> None:
        self.config, self.world, self.run = config, world, run
        self.source = ModelSource.of(config.model, config.tokenizer)
        tokenizer, self.model = self.source.tokenizer, self.source.masked_lm()
        self.data = PretrainingData(config.data, tokenizer, self.source.config.max_positions, config.seed)
        self.masker = Masker(config.masking, tokenizer, config.steps, config.seed)
        self.stream = self.data.stream(self.masker, config.sequences, world.rank, world.size)
        self.validation = self.data.validation_batches(config.validation)
        self.rows = math.ceil(config.sequences / world.size)  # some ranks have one less
        self.at_once = RowsAtOnce.of_tokens(compute, self.rows, self.data.full_tokens, world)

        self.model.to(compute.device)
        tokens = self.at_once.rows * self.data.full_tokens
        self.compute = choose_graphs(compute, self.model, self.source.config, tokens, world)
        self.loss = prepare_model(self.model, config.parallel, self.compute, world, MaskedLMLoss)
        self.optimizer = build_optimizer(self.model, config.optim)

        self.start, self.watch = 0, Watch()
        self.state: dict[str, Any] = {"tokens": 0, "seconds": 0.0}
        checkpoints = run.checkpoints, config.checkpoint
        self.saver = Saver(*checkpoints, self.model, self.optimizer, world, self.write_model)
        saved = self.saver.resume()
        if saved is not None:
            self.start, self.state, self.watch = saved["step"], saved["state"], Watch(**saved["watch"])
        self.stream.reset(None if saved is None else saved["stream"])

    def write_model(self, folder: Path, weights: Mapping[str, Tensor], step: int) -> None:
        """Write a model folder."""
        facts = {
            "recipe": "pretrain",
            "steps": step,
            "curriculum": self.config.masking.curriculum.name,
            "genome_sha256": self.data.store.sha256,
        }
        self.source.save(folder, weights, "masked_lm", training=facts)

    def save(self, step: int, *, validated: bool) -> None:
        """Save a checkpoint; ``validated`` says whether this very step was."""
        stream, watch = self.stream.state_dict(), asdict(self.watch)
        place = {"step": step, "state": self.state, "watch": watch, "stream": stream}
        self.saver.save(step, place, self.state["validation_loss"] if validated else None)

    def take_step(self, step: int, meter: Meter) -> Taken:
        """Start optimizer step ``step``, from 1; a GPU may be done with it later."""
        config = self.config
        batch = next(self.stream)
        meter.data_arrived()
        lr = learning_rate(config.optim, step - 1, config.steps)

        def take(rows: int) -> StartedStep:
            full, multiple = self.data.full_tokens, config.data.pad_multiple
            batches = micro_batches(batch, math.ceil(self.rows / rows), full, multiple)
            return train_step(
                self.model, self.loss, batches, self.optimizer, config.optim, lr, self.compute, self.world
            )

        height, width = batch.ids_BS.shape
        started = self.at_once.attempt(take, f"{height} x {width} tokens")
        return Taken(step, batch, lr, started, meter.step_over())

    def note(self, taken: Taken, meter: Meter, log: MetricLog, display: Display) -> None:
        """Wait for a step's figures, and show and log them; stops the run if they are not finite."""
        config, step, result = self.config, taken.step, taken.started.result()
        trouble = self.watch.check(result, taken.batch.strategy, config.trouble)
        record = {"step": step, **meter.record(result, taken.batch, taken.lr, taken.lap)}
        record |= {"skipped": self.watch.skipped, "spikes": self.watch.spikes}
        self.state["tokens"] += result.tokens
        self.state["seconds"] += record["seconds"]
        display.step(step, step_text(record), record)
        if step % config.log.every == 0 or step == config.steps:
            log.write(record)
        if trouble:
            log.write({"step": step, "trouble": trouble})
            display.note(f"step {step}: {trouble}")
            folder, sequences = self.run.folder, config.sequences
            stop_if_diverged(self.watch, config.trouble, taken.batch, sequences, folder, step, self.world)

    def validate(self, step: int, log: MetricLog, display: Display) -> None:
        """Measure loss and accuracy under the fixed mask; the curriculum may switch."""
        found = validate(self.model, self.validation, self.compute, self.world, self.masker.tenths)
        measured = {"validation_loss": found.loss, "validation_accuracy": found.accuracy}
        self.state |= measured
        phase = self.masker.state.switched_at
        self.masker.observe(step, perplexity(found.loss), found.tenth_losses)
        record = {"step": step, **measured, "perplexity": perplexity(found.loss), **self.masker.figures()}
        log.write(record)
        right = f"{100 * found.accuracy:.1f} % guessed right"
        display.note(f"step {step}: fixed-mask validation loss {found.loss:.4f}, {right}", record)
        if self.masker.state.switched_at != phase:
            switch = {"step": step, "switch": self.masker.strategy(step)[0]}
            log.write(switch)
            display.note(f"step {step}: perplexity is flat, masking is now {switch['switch']}", switch)

    def measure_baselines(self) -> None:
        """Write what the validation gives away without a model, unless the run that goes on has it."""
        path = self.run.folder / layout.BASELINES
        if not (self.start and is_there(path)):
            found = measure_baselines(self.data, self.validation)
            write_json(path, {name: guesses and asdict(guesses) for name, guesses in found.items()})

    def finish(self) -> None:
        """Draw the loss and write the summary."""
        from cmgems.report import plot_pretraining  # matplotlib takes a second to import

        entropy, state, out = unigram_entropy(self.validation), self.state, self.run.folder
        plot_pretraining(self.run.metrics_path, out / layout.LOSS_PLOT, entropy)
        self.run.finish(
            {
                summary.STEPS: self.config.steps,
                summary.VALIDATION_LOSS: state["validation_loss"],
                summary.VALIDATION_ACCURACY: state.get(
                    "validation_accuracy"
                ),  # not in checkpoints before 0.3
                summary.UNIGRAM_ENTROPY: entropy,
                summary.SWITCHED_AT: self.masker.state.switched_at,
                summary.TOKENS: state["tokens"],
                summary.TOKENS_PER_SECOND: state["tokens"] / max(state["seconds"], 1e-9),
                summary.SKIPPED_STEPS: self.watch.skipped,
                summary.LOSS_SPIKES: self.watch.spikes,
                summary.BASELINES: self.run.baselines,
            },
        )


def train(config: Config, work: Pretraining, run: Run, world: World) -> None:
    """Take the steps that are left."""
    start, steps = work.start, config.steps
    meter = Meter(work.model, work.source.config, work.compute)
    sinks = config.log.tensorboard, config.log.wandb
    profiled_steps = config.log.profile if world.is_main else None
    with (
        MetricLog(run.metrics_path, start, *sinks, active=world.is_main) as log,
        show_steps("pretrain", start, steps, config.log.every, world.is_main) as display,
        profiled(profiled_steps, run.folder, display.note) as profile_step,
        work.saver,
        stop_signals(display.announce) as stop,
    ):
        at_once = f"{work.at_once.rows} sequences at a time"
        place = f"{work.data.held_out}; {start} of {steps} steps done; {run.folder}"
        display.note(f"{work.compute.describe()}, {at_once}; {place}", work.state)
        # The figures of a step are read once the next one is under way: a GPU never waits for the host.
        figures = Later(partial(work.note, meter=meter, log=log, display=display), work.compute.steps_ahead)
        for done in range(start + 1, steps + 1):
            figures.add(work.take_step(done, meter))
            profile_step()
            validated = done % config.validation.every == 0 or done == steps
            if validated:
                figures.catch_up()
                work.validate(done, log, display)
            stopping = stop.agreed(world)
            saved = done % config.checkpoint.every == 0 or done == steps or stopping
            if saved:
                figures.catch_up()
                work.save(done, validated=validated)
            if validated or saved:
                meter.restart()
            if stopping:
                work.saver.wait()
                world.wait()  # a launcher ends the others as soon as one has left
                where = run.checkpoints.path(done)
                stop.leave(f"step {done} of {steps} is saved in {where}", world)


def main(config: Config, out: Path) -> None:
    """Train from the newest checkpoint in ``out``, or from the start, to the last step."""
    with open_world() as world, open_run(out, config, "pretrain", world) as run:
        if run.summary is not None:
            if world.is_main:
                print(f"{out} has finished already", file=sys.stderr)
            return
        compute = start_compute(config.compute, config.seed, world.local_rank)
        work = Pretraining(config, compute, world, run)
        if world.is_main:
            work.measure_baselines()
        train(config, work, run, world)
        work.saver.keep_model(out / layout.FINAL, config.steps)
        if world.is_main:
            work.finish()
