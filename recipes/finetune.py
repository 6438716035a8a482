"""Fine-tune a pretrained (or randomly initialised) gene transformer on labelled sequences.

`task` says what the labels are: one class a sequence (classification), several labels (multi_label), quantities
(regression) or a class for every base (token_classification). How many there are is read from the training set. The
epoch with the best dev score is scored on the test set; without a dev set it is the last epoch. Ctrl-C and SIGTERM
stop after the step under way, and the same command goes on from the last finished epoch. Copy it with
`cmgems cp finetune ./my_finetune.py`.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch

from cmgems.config import Component, component
from cmgems.data import LabelledConfig, LabelledSet, data_notes, draw_shots, labelled_batches, read_splits
from cmgems.errors import CmgemsError
from cmgems.models import MODELS, build_model, fit_to_tokenizer, load_encoder_into, load_model, save_model
from cmgems.models.lora import LoraConfig, add_lora, load_adapters, merge_lora, save_adapters
from cmgems.runs import (
    LogConfig,
    MetricLog,
    layout,
    open_run,
    show_steps,
    stop_signals,
    summary,
)
from cmgems.tasks import TASKS, predict_logits
from cmgems.tasks.predict import model_inputs
from cmgems.tasks.test_set import collapse_warning, summarise_test
from cmgems.tokenization import TOKENIZERS
from cmgems.training import (
    ComputeConfig,
    OptimConfig,
    apply_gradients,
    build_optimizer,
    learning_rate,
    load_training_state,
    out_of_memory,
    profiled,
    save_training_state,
    start_compute,
)


@dataclass(frozen=True)
class ModelSource:
    """Where the weights come from.

    Attributes:
        checkpoint: A pretraining run, checkpoint or model folder; it brings its own model and tokenizer.
        init: The model to start from random weights when there is no checkpoint.
        tokenizer: Its tokenizer.
        dropout: Hidden dropout while fine-tuning; None keeps the model's own.
    """

    checkpoint: Path | None = None
    init: Component = component(MODELS, "logo")
    tokenizer: Component = component(TOKENIZERS, "kmer6")
    dropout: float | None = None

    def __post_init__(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise CmgemsError(f"`dropout` must be in [0, 1), but is {self.dropout}")


@dataclass(frozen=True)
class Config:
    """Everything a fine-tuning run depends on.

    Attributes:
        epochs: Passes over the training set.
        max_steps: Stop after this many optimizer steps even if epochs are left; the decay ends there too.
        batch_size: Sequences in an optimizer step.
        seed: Decides the head's weights, the order and the few-shot draw.
        lora: Train low-rank adapters and the head alone; None trains everything.
    """

    model: ModelSource = field(default_factory=ModelSource)
    data: LabelledConfig = field(default_factory=LabelledConfig)
    task: Component = component(TASKS, "classification")
    epochs: int = 4
    max_steps: int | None = None
    batch_size: int = 32
    seed: int = 0
    lora: LoraConfig | None = None
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=3e-5, warmup=50, beta2=0.999, eps=1e-8))
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise CmgemsError("`epochs` and `batch_size` must be 1 or more")
        if self.max_steps is not None and self.max_steps < 1:
            raise CmgemsError(f"`max_steps` must be 1 or more, but is {self.max_steps}")
        if not 0 <= self.seed < 2**64:
            raise CmgemsError(f"`seed` must be from 0 to 2^64 - 1, but is {self.seed}")


def main(config: Config, out: Path) -> None:
    """Train from the last finished epoch in ``out``, or from the start, then score the test set."""
    with open_run(out, config, "finetune") as run:
        if run.summary is not None:
            print(f"{out} has finished already", file=sys.stderr)
            return
        compute = start_compute(config.compute, config.seed)
        task = config.task.build(TASKS)

        model_config: Any
        if config.model.checkpoint is not None:
            pretrained = load_model(config.model.checkpoint)
            model_config, tokenizer = pretrained.config, pretrained.tokenizer
            model_name, tokenizer_name = pretrained.model_name, pretrained.tokenizer_name
        else:
            tokenizer = config.model.tokenizer.build(TOKENIZERS)
            model_config = fit_to_tokenizer(config.model.init.build(MODELS), tokenizer)
            model_name, tokenizer_name = config.model.init.name, config.model.tokenizer.name
        if config.model.dropout is not None:
            model_config = dataclasses.replace(model_config, hidden_dropout=config.model.dropout)

        splits = read_splits(config.data, tokenizer, model_config.max_positions, task.labels)
        for note in data_notes(config.data, splits):
            print(f"warning: {note}", file=sys.stderr)
        test = splits["test"]
        train = draw_shots(config.data, splits["train"], test, config.seed)
        # The few-shot protocol has no dev set: thousands of labels to choose an epoch would not be few.
        dev = splits.get("dev") if config.data.shots is None else None
        task = task.fit(train.targets)

        model = build_model(model_config, task.head, len(train.names))
        if config.model.checkpoint is not None:
            load_encoder_into(model, config.model.checkpoint, config=model_config, tokenizer=tokenizer)
        if config.lora is not None:
            add_lora(model, config.lora)
        model.to(compute.device)
        compute.recompute_layers(model)
        called = compute.compile(model)
        optimizer = build_optimizer(model, config.optim)
        steps_per_epoch = math.ceil(len(train) / config.batch_size)
        steps = config.epochs * steps_per_epoch
        if config.max_steps is not None:
            steps = min(steps, config.max_steps)
        epochs = math.ceil(steps / steps_per_epoch)

        def load_weights(folder: Path) -> None:
            if config.lora is None:
                model.load_state_dict(load_model(folder).model.state_dict())
            else:
                load_adapters(folder, model)
            task.start_training(model)

        state: dict[str, Any] = {"epoch": 0, "best_epoch": None, "best": -math.inf}
        if (saved := run.checkpoints.newest()) is not None:
            newest = run.checkpoints.path(saved)
            load_weights(newest)
            state = load_training_state(newest, model, optimizer)

        def write_checkpoint(folder: Path) -> None:
            with task.finished(model):
                save_model(
                    folder,
                    model if config.lora is None else merge_lora(model),
                    model_name=model_name,
                    config=model_config,
                    head=task.head,
                    tokenizer_name=tokenizer_name,
                    tokenizer=tokenizer,
                    labels=train.names,
                    training={"recipe": "finetune", "epochs": state["epoch"], "data": config.data.dir.name},
                )
                if config.lora is not None:
                    save_adapters(folder, model)
            save_training_state(folder, model, optimizer, state)

        def predict(labelled: LabelledSet) -> np.ndarray:
            with out_of_memory("prediction", "lower data.max_tokens or choose a smaller model"):
                logits_NC = predict_logits(
                    model, labelled.ids, tokenizer, model_config.max_positions, compute
                )
            return task.predictions(logits_NC)

        start = min(state["epoch"] * steps_per_epoch, steps)
        with (
            MetricLog(run.metrics_path, start, config.log.tensorboard, config.log.wandb) as log,
            show_steps("finetune", start, steps, config.log.every) as display,
            profiled(config.log.profile, out, display.note) as profile_step,
            stop_signals(display.announce) as stop,
        ):

            def leave_if_asked() -> None:
                if stop:
                    stop.leave(f"{state['epoch']} of {epochs} epochs are saved in {out}")

            display.note(
                f"{compute.describe()}; {len(train)} training sequences; {config.task.name} of "
                f"{shorten(', '.join(train.names), 80, placeholder=' ...')}; {out}"
            )
            step = start
            for epoch in range(state["epoch"], epochs):
                model.train()
                batches = labelled_batches(
                    train,
                    config.batch_size,
                    tokenizer,
                    model_config.max_positions,
                    shuffle=(config.seed, epoch),
                    multiple=compute.row_multiple(model_config.max_positions),
                )
                for ids_BS, labels in islice(batches, steps - step):
                    leave_if_asked()
                    began = time.perf_counter()
                    rows, columns = ids_BS.shape
                    advice = "lower batch_size or data.max_tokens, or set compute.recompute=true"
                    with out_of_memory(f"a batch of {rows} x {columns} tokens", advice):
                        with compute.autocast():
                            logits = called(*model_inputs(ids_BS, tokenizer.pad_id, compute))
                        loss = task.loss(logits, torch.from_numpy(labels).to(compute.device))
                        if not math.isfinite(loss.item()):
                            raise CmgemsError(
                                "the loss is not finite",
                                why=f"it is {loss.item()} in step {step + 1}",
                                fix="lower optim.lr or set compute.precision=fp32",
                            )
                        loss.backward()
                        lr = learning_rate(config.optim, step, steps)
                        apply_gradients(model, optimizer, config.optim, lr)
                    profile_step()
                    step += 1
                    display.step(step, f"epoch {epoch + 1}  loss {loss.item():.4f}")
                    if step % config.log.every == 0 or step == steps:
                        seconds = time.perf_counter() - began
                        log.write({"step": step, "loss": loss.item(), "lr": lr, "seconds": seconds})

                state["epoch"] = epoch + 1
                if dev is None:
                    state["best_epoch"] = epoch + 1
                else:
                    scores = task.metrics(dev.targets, predict(dev))
                    log.write({"step": step, **{f"dev_{name}": value for name, value in scores.items()}})
                    display.note(
                        f"epoch {epoch + 1}: dev "
                        + ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
                    )
                    value = task.selection_value(scores)
                    if state["best_epoch"] is None or value > state["best"]:
                        state["best_epoch"], state["best"] = epoch + 1, value
                run.checkpoints.save(epoch + 1, write_checkpoint)
                run.checkpoints.retain(1, also=state["best_epoch"])
                leave_if_asked()

        best = run.checkpoints.path(state["best_epoch"])
        load_weights(best)
        run.keep_model(best, layout.BEST)
        report = summarise_test(task, train, test, predict(test))
        if warning := collapse_warning(report):
            print(f"warning: {warning}", file=sys.stderr)
        run.finish(
            {
                summary.TRAIN_SEQUENCES: len(train),
                summary.BEST_EPOCH: state["best_epoch"],
                summary.SEQUENCES_CUT: sum(split.cut for split in splits.values()),
                **report,
            }
        )
