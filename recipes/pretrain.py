"""Pretrain a gene transformer by masked language modelling with a masking curriculum.

Copy it (`cmgems cp pretrain ./my_pretrain.py`), change what you like, and run the copy the same way:
`cmgems run ./my_pretrain.py --config logo_cmgems ...`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cmgems.config import Component, component
from cmgems.data import FixedValidation, GenomeData, PretrainingData
from cmgems.errors import CmgemsError
from cmgems.masking import Masker, MaskingConfig
from cmgems.models import MODELS, fit_to_tokenizer, load_model, save_model
from cmgems.report import plot_pretraining
from cmgems.tokenization import TOKENIZERS
from cmgems.training import (
    CheckpointConfig,
    ComputeConfig,
    LogConfig,
    MetricsLog,
    OptimConfig,
    build_optimizer,
    learning_rate,
    load_training_state,
    open_run,
    open_world,
    rate_text,
    read_summary,
    save_training_state,
    show_steps,
    show_summary,
    start_compute,
    train_step,
    unigram_entropy,
    validate,
)


@dataclass(frozen=True)
class Config:
    """Everything a pretraining run depends on.

    Attributes:
        steps: Optimizer steps of the whole run.
        accumulation: Batches (`data.batch_size` sequences each) in one optimizer step.
        seed: Decides weights, order, windows and masks.
    """

    steps: int = 10_000
    accumulation: int = 25
    seed: int = 0
    tokenizer: Component = component(TOKENIZERS, "kmer6")
    model: Component = component(MODELS, "logo")
    data: GenomeData = field(default_factory=GenomeData)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    validation: FixedValidation = field(default_factory=FixedValidation)
    optim: OptimConfig = field(default_factory=OptimConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.accumulation < 1:
            raise CmgemsError("`steps` and `accumulation` must be 1 or more")


def main(config: Config, out: Path) -> None:
    """Train from the newest checkpoint in ``out``, or from the start, to the last step."""
    with open_world() as world, open_run(out, config, "pretrain", world) as run:
        finished = read_summary(out)
        if finished is not None:
            show_summary(f"{out} has finished already", finished)
            return
        compute = start_compute(config.compute, config.seed, world.local_rank)

        tokenizer = config.tokenizer.build(TOKENIZERS)
        model_config = fit_to_tokenizer(config.model.build(MODELS), tokenizer)
        model = model_config.masked_lm().to(compute.device)
        optimizer = build_optimizer(model, config.optim)

        data = PretrainingData(config.data, tokenizer, model_config.max_positions, config.seed)
        masker = Masker(config.masking, tokenizer, config.steps, config.seed)
        stream = data.stream(masker, config.accumulation, world.rank, world.size)
        validation = data.validation_batches(config.validation)
        entropy = unigram_entropy(validation)

        start, state = 0, {"tokens": 0, "seconds": 0.0}
        newest = run.checkpoints.newest()
        if newest is not None:
            model.load_state_dict(load_model(newest).model.state_dict())
            saved_state = load_training_state(newest, model, optimizer)
            start, state = saved_state["step"], saved_state["state"]
            stream.reset(saved_state["stream"])
        else:
            stream.reset()

        def write_checkpoint(folder: Path, step: int) -> None:
            save_model(
                folder,
                model,
                model_name=config.model.name,
                config=model_config,
                head="masked_lm",
                tokenizer_name=config.tokenizer.name,
                tokenizer=tokenizer,
                training={
                    "recipe": "pretrain",
                    "steps": step,
                    "curriculum": config.masking.curriculum.name,
                    "genome_sha256": data.store.sha256,
                },
            )
            stream_state = stream.state_dict()
            save_training_state(
                folder, model, optimizer, {"step": step, "state": state, "stream": stream_state}
            )

        def run_validation(log: MetricsLog, step: int) -> float:
            loss = validate(model, validation, compute, world)
            phase = masker.state.switched_at
            masker.observe(step, math.exp(loss))
            if world.leads:
                log.write({"step": step, "validation_loss": loss, "perplexity": math.exp(loss)})
                display.note(f"step {step}: fixed-mask validation loss {loss:.4f}")
                if masker.state.switched_at != phase:
                    log.write({"step": step, "switch": masker.strategy(step)[0]})
                    display.note(
                        f"step {step}: perplexity is flat, masking is now {masker.strategy(step)[0]}"
                    )
            return loss

        called = compute.compile(model)
        validation_loss = state.get("validation_loss", math.inf)
        with (
            MetricsLog(run.metrics_path, start, config.log.tensorboard, active=world.leads) as log,
            show_steps("pretrain", start, config.steps, config.log.every, world.leads) as display,
        ):
            display.note(f"{compute.describe()}; {start} of {config.steps} steps done; {out}")
            for step in range(start, config.steps):
                began = time.perf_counter()
                batches = [next(stream) for _ in range(config.accumulation)]
                waited = time.perf_counter() - began
                lr = learning_rate(config.optim, step, config.steps)
                result = train_step(model, called, batches, optimizer, config.optim, lr, compute, world)
                seconds = time.perf_counter() - began
                state["tokens"] += result.tokens
                state["seconds"] += seconds

                done = step + 1
                strategy = batches[0].strategy
                display.step(done, f"loss {result.loss:.4f}  {strategy}  {rate_text(result.tokens, seconds)}")
                if world.leads and (done % config.log.every == 0 or done == config.steps):
                    log.write(
                        {
                            "step": done,
                            "loss": result.loss,
                            "strategy": strategy,
                            "masked_share": result.masked / result.tokens,
                            "lr": lr,
                            "gradient_norm": result.gradient_norm,
                            "tokens_per_second": result.tokens / seconds,
                            "wait_share": waited / seconds,
                        }
                    )
                if done % config.validation.every == 0 or done == config.steps:
                    validation_loss = state["validation_loss"] = run_validation(log, done)
                if world.leads and (done % config.checkpoint.every == 0 or done == config.steps):
                    run.checkpoints.save(done, partial(write_checkpoint, step=done))
                    run.checkpoints.retain(config.checkpoint.keep)
                world.wait()

        if world.leads:
            run.keep_model(run.checkpoints.path(config.steps), "final")
            plot_pretraining(run.metrics_path, out / "loss.png", entropy)
            run.finish(
                f"pretrained {config.model.name} in {out}",
                {
                    "steps": config.steps,
                    "validation loss (fixed mask)": validation_loss,
                    "unigram entropy of the masked tokens": entropy,
                    "switched to the hard phase at step": masker.state.switched_at,
                    "tokens seen": state["tokens"],
                    "tokens per second": state["tokens"] / max(state["seconds"], 1e-9),
                },
            )
