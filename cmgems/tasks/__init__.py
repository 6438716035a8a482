"""What fine-tuning learns: tasks, their metrics, and the answers of a fine-tuned model."""

from cmgems.tasks.predict import activate, predict_logits
from cmgems.tasks.tasks import TASKS, Classification, Task

__all__ = ["TASKS", "Classification", "Task", "activate", "predict_logits"]
