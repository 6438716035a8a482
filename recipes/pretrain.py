"""Pretrain a gene transformer by masked language modelling with a masking curriculum.

Copy it (`cmgems cp pretrain ./my_pretrain.py`), change what you like, and run the copy the same way:
`cmgems run ./my_pretrain.py --config logo ...`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor

from cmgems.config import Component, component
from cmgems.distributed import open_world
from cmgems.errors import CmgemsError
from cmgems.masking import Masker, MaskingConfig
from cmgems.models import MODELS, ModelSource
from cmgems.pretraining import FixedValidation, GenomeData, PretrainingData
from cmgems.runs import (
    CheckpointConfig,
    LogConfig,
    MetricLog,
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
    ComputeConfig,
    MaskedLMLoss,
    Meter,
    OptimConfig,
    ParallelConfig,
    Saver,
    TroubleConfig,
    Watch,
    build_optimizer,
    learning_rate,
    memory_advice,
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
        accumulation: Batches (`data.batch_size` sequences each) in one optimizer step.
        seed: Decides weights, order, windows and masks.
        model: A registered model with random weights; or a run, checkpoint or model folder, which brings its weights,
            config and tokenizer. Optimizer, schedule and curriculum start from the beginning.
        tokenizer: That of a registered model.
    """

    steps: int = 10_000
    accumulation: int = 25
    seed: int = 0
    model: Component = component(MODELS, "logo", or_folder=True)
    tokenizer: Component = component(TOKENIZERS, "kmer6")
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
        if self.steps < 1 or self.accumulation < 1:
            raise CmgemsError("`steps` and `accumulation` must be 1 or more")
        if not 0 <= self.seed < 2**64:
            raise CmgemsError(f"`seed` must be from 0 to 2^64 - 1, but is {self.seed}")


def main(config: Config, out: Path) -> None:
    """Train from the newest checkpoint in ``out``, or from the start, to the last step."""
    with open_world() as world, open_run(out, config, "pretrain", world) as run:
        if run.summary is not None:
            if world.is_main:
                print(f"{out} has finished already", file=sys.stderr)
            return
        compute = start_compute(config.compute, config.seed, world.local_rank)

        source = ModelSource.of(config.model, config.tokenizer)
        tokenizer, model = source.tokenizer, source.masked_lm()
        model.to(compute.device)
        loss = prepare_model(model, config.parallel, compute, world, MaskedLMLoss(model))
        optimizer = build_optimizer(model, config.optim)

        data = PretrainingData(config.data, tokenizer, source.config.max_positions, config.seed)
        masker = Masker(config.masking, tokenizer, config.steps, config.seed)
        stream = data.stream(masker, config.accumulation, world.rank, world.size)
        validation = data.validation_batches(config.validation)
        entropy = unigram_entropy(validation)

        def write_model(folder: Path, weights: Mapping[str, Tensor], step: int) -> None:
            facts = {
                "recipe": "pretrain",
                "steps": step,
                "curriculum": config.masking.curriculum.name,
                "genome_sha256": data.store.sha256,
            }
            source.save(folder, weights, "masked_lm", training=facts)

        start, state, watch = 0, {"tokens": 0, "seconds": 0.0}, Watch()
        saver = Saver(run.checkpoints, config.checkpoint, model, optimizer, world, write_model)
        saved = saver.resume()
        if saved is not None:
            start, state, watch = saved["step"], saved["state"], Watch(**saved["watch"])
        stream.reset(None if saved is None else saved["stream"])

        def run_validation(step: int) -> None:
            nats = state["validation_loss"] = validate(model, validation, compute, world)
            phase = masker.state.switched_at
            masker.observe(step, perplexity(nats))
            record = {"step": step, "validation_loss": nats, "perplexity": perplexity(nats)}
            log.write(record)
            display.note(f"step {step}: fixed-mask validation loss {nats:.4f}", record)
            if masker.state.switched_at != phase:
                switch = {"step": step, "switch": masker.strategy(step)[0]}
                log.write(switch)
                display.note(f"step {step}: perplexity is flat, masking is now {switch['switch']}", switch)

        meter = Meter(model, source.config, compute)
        with (
            MetricLog(
                run.metrics_path, start, config.log.tensorboard, config.log.wandb, active=world.is_main
            ) as log,
            show_steps("pretrain", start, config.steps, config.log.every, world.is_main) as display,
            profiled(config.log.profile if world.is_main else None, out, display.note) as profile_step,
            saver,
            stop_signals(display.announce) as stop,
        ):
            display.note(f"{compute.describe()}; {start} of {config.steps} steps done; {out}", state)
            for step in range(start, config.steps):
                meter.start()
                batches = [next(stream) for _ in range(config.accumulation)]
                meter.data_arrived()
                lr = learning_rate(config.optim, step, config.steps)
                with memory_advice(batches, config.data.batch_size, config.accumulation):
                    result = train_step(model, loss, batches, optimizer, config.optim, lr, compute, world)
                profile_step()

                done = step + 1
                trouble = watch.check(result, batches[0].strategy, config.trouble)
                record = {"step": done, **meter.record(result, batches, lr)}
                record |= {"skipped": watch.skipped, "spikes": watch.spikes}
                state["tokens"] += result.tokens
                state["seconds"] += record["seconds"]
                display.step(done, step_text(record), record)
                if done % config.log.every == 0 or done == config.steps:
                    log.write(record)
                if trouble:
                    log.write({"step": done, "trouble": trouble})
                    display.note(f"step {done}: {trouble}")
                    stop_if_diverged(watch, config.trouble, batches, config.data.batch_size, out, done, world)

                validated = done % config.validation.every == 0 or done == config.steps
                if validated:
                    run_validation(done)
                stopping = stop.agreed(world)
                if done % config.checkpoint.every == 0 or done == config.steps or stopping:
                    place = {
                        "step": done,
                        "state": state,
                        "watch": asdict(watch),
                        "stream": stream.state_dict(),
                    }
                    saver.save(done, place, state["validation_loss"] if validated else None)
                if stopping:
                    saver.wait()
                    world.wait()  # a launcher ends the others as soon as one has left
                    where = run.checkpoints.path(done)
                    stop.leave(f"step {done} of {config.steps} is saved in {where}", world)

        saver.keep_model(out / layout.FINAL, config.steps)
        if world.is_main:
            from cmgems.report import plot_pretraining  # matplotlib takes a second to import

            plot_pretraining(run.metrics_path, out / layout.LOSS_PLOT, entropy)
            run.finish(
                {
                    summary.STEPS: config.steps,
                    summary.VALIDATION_LOSS: state["validation_loss"],
                    summary.UNIGRAM_ENTROPY: entropy,
                    summary.SWITCHED_AT: masker.state.switched_at,
                    summary.TOKENS: state["tokens"],
                    summary.TOKENS_PER_SECOND: state["tokens"] / max(state["seconds"], 1e-9),
                    summary.SKIPPED_STEPS: watch.skipped,
                    summary.LOSS_SPIKES: watch.spikes,
                }
            )
