"""Measuring a model on a user's own data, by the evaluators of sentence-transformers and scikit-learn."""

from nearfar.evaluation.dispatch import TASKS, detect_task, evaluate
from nearfar.evaluation.intervals import Interval, bootstrap_mean, paired_correlation_difference, paired_difference
from nearfar.evaluation.mteb import run_mteb
from nearfar.evaluation.result import Result

__all__ = [
    "TASKS",
    "Interval",
    "Result",
    "bootstrap_mean",
    "detect_task",
    "evaluate",
    "paired_correlation_difference",
    "paired_difference",
    "run_mteb",
]
