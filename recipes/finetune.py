"""Fine-tune a gene transformer on labelled sequences, from pretrained or random weights.

`task` says what the labels are: one class a sequence (classification), several labels (multi_label), quantities
(regression) or a class for every base (token_classification). How many there are is read from the training set. The
epoch with the best dev score is scored on the test set; without a dev set it is the last epoch. Ctrl-C and SIGTERM
save after the step under way, and the same command continues from there. Copy it with
`cmgems cp finetune ./my_finetune.py`.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmgems.config import Component, component
from cmgems.data import LabelledConfig, LabelledSet, data_notes, draw_shots, labelled_batches, read_splits
from cmgems.distributed import ALONE
from cmgems.errors import CmgemsError
from cmgems.models import MODELS, ModelSource
from cmgems.models.lora import LoraConfig, add_lora, merge_lora
from cmgems.runs import (
    CheckpointConfig,
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
from cmgems.tokenization import TOKENIZERS, Tokenizer
from cmgems.training import (
    ComputeConfig,
    OptimConfig,
    Saver,
    apply_gradients,
    build_optimizer,
    learning_rate,
    out_of_memory,
    profiled,
    start_compute,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a fine-tuning run depends on.

    Attributes:
        model: A run, checkpoint or model folder, which brings its weights, config and tokenizer; or a registered model
            with random weights.
        tokenizer: That of a registered model.
        dropout: Hidden dropout while fine-tuning; None keeps the model's own.
        epochs: Passes over the training set.
        max_steps: Stop after this many optimizer steps even if epochs are left; the decay ends there too.
        batch_size: Sequences in an optimizer step.
        seed: Decides the head's weights, the order and the few-shot draw.
        lora: Train low-rank adapters and the head alone; None trains everything.
        checkpoint: When to save; the best epoch so far is always kept.
    """

    model: Component = component(MODELS, "logo", or_folder=True)
    tokenizer: Component = component(TOKENIZERS, "kmer6")
    dropout: float | None = None
    data: LabelledConfig
    task: Component = component(TASKS, "classification")
    epochs: int = 4
    max_steps: int | None = None
    batch_size: int = 32
    seed: int = 0
    lora: LoraConfig | None = None
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=3e-5, warmup=50, beta2=0.999, eps=1e-8))
    checkpoint: CheckpointConfig = field(default_factory=lambda: CheckpointConfig(keep=1))
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise CmgemsError(f"`dropout` must be in [0, 1), but is {self.dropout}")
        if self.epochs < 1 or self.batch_size < 1:
            raise CmgemsError("`epochs` and `batch_size` must be 1 or more")
        if self.max_steps is not None and self.max_steps < 1:
            raise CmgemsError(f"`max_steps` must be 1 or more, but is {self.max_steps}")
        if not 0 <= self.seed < 2**64:
            raise CmgemsError(f"`seed` must be from 0 to 2^64 - 1, but is {self.seed}")


def read_data(
    config: Config, tokenizer: Tokenizer, max_positions: int
) -> tuple[LabelledSet, LabelledSet | None, LabelledSet, int]:
    """The training, dev and test sets, and how many of their sequences are cut; what is odd is printed."""
    splits = read_splits(config.data, tokenizer, max_positions, config.task.build(TASKS).labels)
    for note in data_notes(config.data, splits):
        print(f"warning: {note}", file=sys.stderr)
    train = draw_shots(config.data, splits["train"], splits["test"], config.seed)
    # The few-shot protocol has no dev set: thousands of labels to choose an epoch would not be few.
    dev = splits.get("dev") if config.data.shots is None else None
    return train, dev, splits["test"], sum(split.cut for split in splits.values())


def main(config: Config, out: Path) -> None:
    """Train from the newest checkpoint in ``out``, or from the start, then score the test set."""
    with open_run(out, config, "finetune") as run:
        if run.summary is not None:
            print(f"{out} has finished already", file=sys.stderr)
            return
        compute = start_compute(config.compute, config.seed)
        source = ModelSource.of(config.model, config.tokenizer, config.dropout)
        tokenizer, max_positions = source.tokenizer, source.config.max_positions
        train, dev, test, cut = read_data(config, tokenizer, max_positions)
        task = config.task.build(TASKS).fit(train.targets)

        model = source.with_head(task.head, len(train.names))
        if config.lora is not None:
            add_lora(model, config.lora)
        saved_form = copy.deepcopy(model)
        model.to(compute.device)
        compute.recompute_layers(model)
        called = compute.compile(model)
        optimizer = build_optimizer(model, config.optim)
        steps_per_epoch = math.ceil(len(train) / config.batch_size)
        steps = min(config.epochs * steps_per_epoch, config.max_steps or sys.maxsize)
        epochs = math.ceil(steps / steps_per_epoch)

        def finished(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            saved_form.load_state_dict(weights, strict=False)  # without those that are not trained
            task.finish_training(saved_form)
            return (saved_form if config.lora is None else merge_lora(saved_form)).state_dict()

        def write_model(folder: Path, weights: Mapping[str, Tensor], step: int) -> None:
            facts = {
                "recipe": "finetune",
                "epochs": math.ceil(step / steps_per_epoch),
                "data": config.data.dir.name,
            }
            source.save(folder, weights, task.head, train.names, facts)

        def predict(labelled: LabelledSet) -> np.ndarray:
            with out_of_memory("prediction", "lower data.max_tokens or choose a smaller model"):
                logits_NC = predict_logits(model, labelled.ids, tokenizer, max_positions, compute)
            return task.predictions(logits_NC)

        def train_step(ids_BS: np.ndarray, labels: np.ndarray, step: int) -> tuple[float, float]:
            """Loss and learning rate of optimizer step ``step``, from 0."""
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
            return loss.item(), lr

        state: dict[str, Any] = {"step": 0, "best_step": None, "best": None}
        saver = Saver(run.checkpoints, config.checkpoint, model, optimizer, ALONE, write_model, finished)
        if (saved := saver.resume()) is not None:
            state = {key: saved[key] for key in state}
        start: int = state["step"]

        def score_epoch(epoch: int, step: int) -> None:
            """Remember the step if it is the best so far."""
            if dev is None:
                state["best_step"] = step
                return
            scores = task.metrics(dev.targets, predict(dev))
            log.write({"step": step, **{f"dev_{name}": value for name, value in scores.items()}})
            told = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            display.note(f"epoch {epoch}: dev {told}")
            value = task.selection_value(scores)
            if state["best_step"] is None or value > state["best"]:
                state["best_step"], state["best"] = step, value

        with (
            MetricLog(run.metrics_path, start, config.log.tensorboard, config.log.wandb) as log,
            show_steps("finetune", start, steps, config.log.every) as display,
            profiled(config.log.profile, out, display.note) as profile_step,
            saver,
            stop_signals(display.announce) as stop,
        ):
            names = shorten(", ".join(train.names), 80, placeholder=" ...")
            display.note(
                f"{compute.describe()}; {len(train)} training sequences; {config.task.name} of {names}; {out}"
            )
            step = start
            for epoch in range(start // steps_per_epoch, epochs):
                model.train()
                batches = labelled_batches(
                    train,
                    config.batch_size,
                    tokenizer,
                    max_positions,
                    shuffle=(config.seed, epoch),
                    multiple=compute.row_multiple(max_positions),
                )
                first, last = epoch * steps_per_epoch, min((epoch + 1) * steps_per_epoch, steps)
                for ids_BS, labels in islice(batches, step - first, last - first):
                    began = time.perf_counter()
                    loss, lr = train_step(ids_BS, labels, step)
                    profile_step()
                    step += 1
                    display.step(step, f"epoch {epoch + 1}  loss {loss:.4f}")
                    if step % config.log.every == 0 or step == steps:
                        seconds = time.perf_counter() - began
                        log.write({"step": step, "loss": loss, "lr": lr, "seconds": seconds})
                    scored = step == last and (dev is not None or step == steps)
                    if scored:
                        score_epoch(epoch + 1, step)
                    stopping = bool(stop)
                    if scored or step % config.checkpoint.every == 0 or stopping:
                        saver.save(step, state | {"step": step}, keep=state["best_step"])
                    if stopping:
                        saver.wait()
                        where = run.checkpoints.path(step)
                        stop.leave(f"step {step} of {steps} is saved in {where}")

        best = state["best_step"]
        saver.load_weights(best)
        run.keep_model(run.checkpoints.path(best), layout.BEST)
        report = summarise_test(task, train, test, predict(test))
        if warning := collapse_warning(report):
            print(f"warning: {warning}", file=sys.stderr)
        run.finish(
            {
                summary.TRAIN_SEQUENCES: len(train),
                summary.BEST_EPOCH: math.ceil(best / steps_per_epoch),
                summary.SEQUENCES_CUT: cut,
                **report,
            }
        )
