"""The keys of ``summary.json`` and the label of each: the one table of both.

A copied recipe may add keys of its own: they are shown as they are.
"""

from __future__ import annotations

from typing import Literal

# Of pretraining.
STEPS = "steps"
VALIDATION_LOSS = "validation_loss"
VALIDATION_ACCURACY = "validation_accuracy"
BASELINES = "baselines"
UNIGRAM_ENTROPY = "unigram_entropy"
SWITCHED_AT = "switched_at"
TOKENS = "tokens"
TOKENS_PER_SECOND = "tokens_per_second"
SKIPPED_STEPS = "skipped_steps"
LOSS_SPIKES = "loss_spikes"
# Of fine-tuning.
TRAIN_SEQUENCES = "train_sequences"
DEV_SEQUENCES = "dev_sequences"
SEQUENCES_SKIPPED = "sequences_skipped"
BEST_EPOCH = "best_epoch"
SEQUENCES_CUT = "sequences_cut"
TEST_SEQUENCES = "test_sequences"
LEAKED = "test_sequences_in_train"
NOVEL = "test_sequences_novel"
CLASSES_PREDICTED = "classes_predicted"

LABELS = {
    STEPS: "steps",
    VALIDATION_LOSS: "validation loss under the fixed mask (nats)",
    VALIDATION_ACCURACY: "masked tokens guessed right under the fixed mask (share)",
    BASELINES: "guesses without a model under the fixed mask",
    UNIGRAM_ENTROPY: "unigram entropy of the masked tokens (nats)",
    SWITCHED_AT: "switched to the hard phase at step",
    TOKENS: "tokens seen",
    TOKENS_PER_SECOND: "tokens per second",
    SKIPPED_STEPS: "steps skipped",
    LOSS_SPIKES: "loss spikes",
    TRAIN_SEQUENCES: "training sequences",
    DEV_SEQUENCES: "dev sequences",
    SEQUENCES_SKIPPED: "sequences skipped",
    BEST_EPOCH: "best epoch",
    SEQUENCES_CUT: "sequences cut",
    TEST_SEQUENCES: "test sequences",
    LEAKED: "test sequences that are in train",
    NOVEL: "test sequences without copy or twin in train or dev",
    CLASSES_PREDICTED: "classes predicted",
}

# Metrics of the test set by their names in ``cmgems.tasks``.
METRIC_LABELS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "mcc": "MCC",
    "auc": "AUC",
    "average_precision": "average precision",
    "pearson": "Pearson's r",
    "spearman": "Spearman's rho",
    "r2": "R2",
    "mse": "mean squared error",
}

# Which test rows a metric is over: all; those that are not in train; those without a copy, near copy or twin there.
Part = Literal["all", "clean", "novel"]
PARTS: tuple[Part, ...] = ("all", "clean", "novel")


def metric_key(metric: str, part: Part = "all") -> str:
    """The key of a test metric: ``test_mcc``, ``clean_test_mcc``."""
    return f"{'' if part == 'all' else f'{part}_'}test_{metric}"


def is_metric(key: str) -> bool:
    """Whether a key is that of a test metric, not of a count or of training."""
    return key not in LABELS and key.startswith(tuple(metric_key("", part) for part in PARTS))


def label(key: str) -> str:
    """The label of a key for people; an unknown key is its own label."""
    if key in LABELS:
        return LABELS[key]
    for part in PARTS:
        metric = key.removeprefix(metric_key("", part))
        if metric != key and metric in METRIC_LABELS:
            return f"{'' if part == 'all' else f'{part} '}test {METRIC_LABELS[metric]}"
    return key
