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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmgems.config import Component, component
from cmgems.data import LabelledConfig, LabelledSet, data_notes, draw_shots, labelled_batches, read_splits
from cmgems.distributed import ALONE, World, open_world
from cmgems.errors import CmgemsError
from cmgems.models import MODELS, ModelSource, Pool, model_content
from cmgems.models.lora import LoraConfig, add_lora, merge_lora
from cmgems.runs import (
    CheckpointConfig,
    Display,
    LogConfig,
    MetricLog,
    Run,
    layout,
    open_run,
    show_steps,
    stop_signals,
    summary,
)
from cmgems.tasks import TASKS, predict_logits
from cmgems.tasks.forward import model_inputs
from cmgems.tasks.test_set import collapse_warning, summarise_test
from cmgems.tokenization import TOKENIZERS
from cmgems.training import (
    Clock,
    Compute,
    ComputeConfig,
    LateCopy,
    Later,
    Moment,
    OptimConfig,
    ParallelConfig,
    RowsAtOnce,
    Saver,
    apply_gradients,
    begin_pass,
    build_optimizer,
    choose_graphs,
    exchanging,
    learning_rate,
    load_weights,
    out_of_memory,
    passes,
    prepare_model,
    profiled,
    seconds_between,
    start_compute,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a fine-tuning run depends on.

    Attributes:
        model: A run, checkpoint or model folder, which brings its weights, config and tokenizer; or a registered model
            with random weights.
        tokenizer: That of a registered model; beside a folder it must be the folder's own.
        dropout: Hidden dropout while fine-tuning; None keeps the model's own.
        pool: What the head of a sequence reads: `cls`, the first token, or the `mean` over all; None keeps the model's
            own choice. Plain transformers has no class for the mean.
        epochs: Passes over the training set.
        max_steps: Stop after this many optimizer steps even if epochs are left; the decay ends there too.
        batch_size: Sequences in an optimizer step.
        seed: Decides the head's weights, the order and the few-shot draw.
        lora: Train low-rank adapters and the head alone; None trains everything.
        checkpoint: When to save; the best epoch so far is always kept.
        parallel: How several processes exchange gradients; each holds the whole model.
    """

    model: Component = component(MODELS, "logo", or_folder=True, content=model_content)
    tokenizer: Component | None = component(TOKENIZERS, "kmer6", owner="model")
    dropout: float | None = None
    pool: Pool | None = None
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
    parallel: ParallelConfig = field(default_factory=lambda: ParallelConfig(mode="replicate"))
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise CmgemsError(f"`dropout` must be in [0, 1), but is {self.dropout}")
        if self.pool is not None and self.task.build(TASKS).head == "token_classification":
            raise CmgemsError("`pool` has no meaning for classes of bases", fix="leave it out")
        if self.epochs < 1 or self.batch_size < 1:
            raise CmgemsError("`epochs` and `batch_size` must be 1 or more")
        if self.max_steps is not None and self.max_steps < 1:
            raise CmgemsError(f"`max_steps` must be 1 or more, but is {self.max_steps}")
        if not 0 <= self.seed < 2**64:
            raise CmgemsError(f"`seed` must be from 0 to 2^64 - 1, but is {self.seed}")
        if self.parallel.mode != "replicate":
            raise CmgemsError("fine-tuning does not split a model", fix="set parallel.mode=replicate")


@dataclass(frozen=True)
class Data:
    """The labelled sets, and how many of their sequences are cut or were left out."""

    train: LabelledSet
    dev: LabelledSet | None
    test: LabelledSet
    cut: int
    skipped: int

    @classmethod
    def read(cls, config: Config, source: ModelSource, run: Run, world: World) -> Data:
        """Read them; rank 0 names rows that cannot be used in the run folder, and prints what is odd."""
        kind, limit = config.task.build(TASKS).labels, source.config.max_positions
        invalid = config.data.unusable_rows()
        splits = read_splits(config.data, source.tokenizer, limit, kind, invalid)
        if world.is_main:
            skipped = invalid.report(run.folder / layout.SKIPPED)
            for note in [*([skipped] if skipped else []), *data_notes(config.data, splits)]:
                print(f"warning: {note}", file=sys.stderr)
        train = draw_shots(config.data, splits["train"], splits["test"], config.seed)
        # The few-shot protocol has no dev set: thousands of labels to choose an epoch would not be few.
        dev = splits.get("dev") if config.data.shots is None else None
        cut = sum(split.cut for split in splits.values())
        return cls(train, dev, splits["test"], cut, len(invalid.skipped))

    @property
    def size(self) -> str:
        """How many sequences there are."""
        dev = "no dev" if self.dev is None else f"{len(self.dev):,} dev"
        return f"{len(self.train):,} training, {dev} and {len(self.test):,} test sequences"


@dataclass(frozen=True, eq=False)
class Taken:
    """A step that a GPU may still be at: its number, from 1, and what its record is made from."""

    step: int
    lr: float
    loss_and_norm: LateCopy
    began: Moment
    over: Moment


class Learner:
    """The model: an optimizer step, predictions, and how it is saved."""

    def __init__(
        self, config: Config, source: ModelSource, train: LabelledSet, compute: Compute, world: World
    ) -> None:
        self.config, self.source, self.world, self.names = config, source, world, train.names
        self.task = config.task.build(TASKS).fit(train.targets, train.names)
        self.model = source.with_head(self.task.head, len(train.names))
        if config.lora is not None:
            add_lora(self.model, config.lora)
        self._saved_form = copy.deepcopy(self.model)
        self.model.to(compute.device)
        rows = math.ceil(config.batch_size / world.size)  # some ranks have one less
        tokens = rows * train.longest
        self.compute = choose_graphs(compute, self.model, source.config, tokens, world)
        self._called = prepare_model(self.model, config.parallel, self.compute, world)
        self.optimizer = build_optimizer(self.model, config.optim)
        self._at_once = RowsAtOnce(compute, rows, world)
        self._clock = Clock(compute.device)
        self.steps_per_epoch = math.ceil(len(train) / config.batch_size)
        self.steps = min(config.epochs * self.steps_per_epoch, config.max_steps or sys.maxsize)

    def batches(self, train: LabelledSet, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(ids_BS, labels) of every step after ``start``, epoch after epoch."""
        limit, tokenizer = self.source.config.max_positions, self.source.tokenizer
        multiple = self.compute.row_multiple(train.longest)
        for epoch in range(start // self.steps_per_epoch, self.config.epochs):
            order = (self.config.seed, epoch)
            of_epoch = labelled_batches(train, self.config.batch_size, tokenizer, limit, order, multiple)
            yield from islice(of_epoch, max(0, start - epoch * self.steps_per_epoch), None)

    def step(self, ids_BS: np.ndarray, labels: np.ndarray, step: int) -> Taken:
        """Start optimizer step ``step``, from 1; a GPU may be done with it later."""
        began = self._clock.now()
        self.model.train()
        height, width = ids_BS.shape
        loss = self._at_once.attempt(partial(self._backward, ids_BS, labels), f"{height} x {width} tokens")
        lr = learning_rate(self.config.optim, step - 1, self.steps)
        norm = apply_gradients(self.model, self.optimizer, self.config.optim, lr, loss)
        return Taken(step, lr, LateCopy(torch.stack([loss, norm.double()])), began, self._clock.now())

    def _backward(self, ids_BS: np.ndarray, labels: np.ndarray, rows: int) -> Tensor:
        """Compute the gradients of a batch, ``rows`` rows at a time; returns the loss of all, a float64 scalar."""
        self.optimizer.zero_grad(set_to_none=True)  # what an attempt that ran out of memory left
        total = torch.zeros((), dtype=torch.float64, device=self.compute.device)
        rank, size = self.world.rank, self.world.size
        parts = math.ceil(math.ceil(len(ids_BS) / size) / rows)
        for number, part in enumerate(np.array_split(np.arange(rank, len(ids_BS), size), parts), 1):
            # A rank without a row computes another's for nothing: the gradients of all are summed in every step.
            some_BS = ids_BS[part] if len(part) else ids_BS[:1]
            with passes(), exchanging(self._called, last=number == parts):
                begin_pass(self.compute, self.model)
                with self.compute.autocast():
                    logits = self._called(*model_inputs(some_BS, self.source.tokenizer.pad_id, self.compute))
                share = logits.sum() * 0
                if weight := self.task.loss_weight(labels[part]):
                    mean = self.task.loss(logits, self.compute.move(labels[part]))
                    share = mean * (weight / self.task.loss_weight(labels))
                share.backward()
                total += share.detach()
        return self.world.sum_tensor(total)

    def note(self, taken: Taken, log: MetricLog, display: Display) -> None:
        """Wait for a step's figures, and show and log them; stops the run if they are not finite."""
        step, (loss, norm) = taken.step, taken.loss_and_norm.array().tolist()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what, value = ("gradient's norm", norm) if math.isfinite(loss) else ("loss", loss)
            raise CmgemsError(
                f"the {what} is not finite",
                why=f"it is {value} in step {step}",
                fix="lower optim.lr or set compute.precision=fp32",
            )
        display.step(step, f"epoch {self.epoch(step)}  loss {loss:.4f}")
        if step % self.config.log.every == 0 or step == self.steps:
            seconds = seconds_between(taken.began, taken.over)
            record = {"step": step, "loss": loss, "gradient_norm": norm, "lr": taken.lr}
            log.write({**record, "seconds": seconds})

    def epoch(self, step: int) -> int:
        """The epoch, from 1, of a step."""
        return math.ceil(step / self.steps_per_epoch)

    def predict(self, labelled: LabelledSet) -> np.ndarray:
        """The task's predictions for all sequences of a set; every rank makes some, and has all."""
        limit, tokenizer = self.source.config.max_positions, self.source.tokenizer
        ids, world = labelled.ids, self.world if len(labelled) >= self.world.size else ALONE
        mine = np.array_split(np.arange(len(ids)), world.size)[world.rank]
        with out_of_memory("prediction", "lower data.max_tokens or choose a smaller model"):
            logits_NC = predict_logits(self.model, [ids[i] for i in mine], tokenizer, limit, self.compute)
        return self.task.predictions(world.gather_rows(logits_NC))

    def saved_weights(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What the model folder holds for these trained weights: adapters merged, targets in their units."""
        form = self._saved_form
        form.load_state_dict(weights, strict=False)  # without those that are not trained
        self.task.finish_training(form)
        return (form if self.config.lora is None else merge_lora(form)).state_dict()

    def write_model(self, folder: Path, weights: Mapping[str, Tensor], step: int) -> None:
        """Write a model folder."""
        facts = {"recipe": "finetune", "epochs": self.epoch(step), "data": self.config.data.dir.name}
        self.source.save(folder, weights, self.task.head, self.names, facts)


def train(config: Config, run: Run, learner: Learner, data: Data) -> int:
    """Train from the newest checkpoint, or from the start; returns the best step."""
    world = learner.world
    saver = Saver(
        run.checkpoints,
        config.checkpoint,
        learner.model,
        learner.optimizer,
        world,
        learner.write_model,
        learner.saved_weights,
    )
    state: dict[str, Any] = {"step": 0, "best_step": None, "best": None}
    if (saved := saver.resume()) is not None:
        state = {key: saved[key] for key in state}
        if state["best_step"] is not None:
            run.checkpoints.whole(state["best_step"])  # the end needs it: better to know now
    start, steps = state["step"], learner.steps
    sinks = config.log.tensorboard, config.log.wandb
    profiled_steps = config.log.profile if world.is_main else None
    with (
        MetricLog(run.metrics_path, start, *sinks, active=world.is_main) as log,
        show_steps("finetune", start, steps, config.log.every, world.is_main) as display,
        profiled(profiled_steps, run.folder, display.note) as profile_step,
        saver,
        stop_signals(display.announce) as stop,
    ):
        outputs = shorten(", ".join(learner.names), 80, placeholder=" ...")
        display.note(
            f"{learner.compute.describe()}; {data.size}; {config.task.name} of {outputs}; {run.folder}"
        )
        # The figures of a step are read once the next one is under way: a GPU never waits for the host.
        figures = Later(partial(learner.note, log=log, display=display), learner.compute.steps_ahead)
        for step, batch in zip(range(start + 1, steps + 1), learner.batches(data.train, start), strict=False):
            figures.add(learner.step(*batch, step))
            profile_step()
            epoch_ends = step == steps or (data.dev is not None and step % learner.steps_per_epoch == 0)
            if epoch_ends:
                figures.catch_up()
                value = 0.0
                if data.dev is not None:
                    scores = learner.task.metrics(data.dev.targets, learner.predict(data.dev))
                    value = learner.task.selection_value(scores)
                    log.write({"step": step, **{f"dev_{name}": score for name, score in scores.items()}})
                    found = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
                    display.note(f"epoch {learner.epoch(step)}: dev {found}")
                if state["best_step"] is None or value > state["best"]:
                    state |= {"best_step": step, "best": value}
            stopping = stop.agreed(world)
            if epoch_ends or stopping or step % config.checkpoint.every == 0:
                figures.catch_up()
                saver.save(step, {**state, "step": step}, keep=state["best_step"])
            if stopping:
                saver.wait()
                world.wait()  # a launcher ends the others as soon as one has left
                stop.leave(f"step {step} of {steps} is saved in {run.checkpoints.path(step)}", world)
    return int(state["best_step"])


def main(config: Config, out: Path) -> None:
    """Train what is left of the run in ``out``, then score the test set with the best epoch."""
    with open_world() as world, open_run(out, config, "finetune", world) as run:
        if run.summary is not None:
            if world.is_main:
                print(f"{out} has finished already", file=sys.stderr)
            return
        compute = start_compute(config.compute, config.seed, world.local_rank)
        source = ModelSource.of(config.model, config.tokenizer, config.dropout, config.pool)
        data = Data.read(config, source, run, world)
        learner = Learner(config, source, data.train, compute, world)
        best = train(config, run, learner, data)

        world.wait()  # for the best epoch to be written
        checkpoint = run.checkpoints.whole(best)
        load_weights(checkpoint, learner.model)
        report = summarise_test(learner.task, data.train, data.test, learner.predict(data.test), data.dev)
        if not world.is_main:
            return
        run.keep_model(checkpoint, layout.BEST)
        if warning := collapse_warning(report):
            print(f"warning: {warning}", file=sys.stderr)
        run.finish(
            {
                summary.TRAIN_SEQUENCES: len(data.train),
                summary.DEV_SEQUENCES: 0 if data.dev is None else len(data.dev),
                summary.BEST_EPOCH: learner.epoch(best),
                summary.SEQUENCES_CUT: data.cut,
                summary.SEQUENCES_SKIPPED: data.skipped,
                **report,
            },
        )
