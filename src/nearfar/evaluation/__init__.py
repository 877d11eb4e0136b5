"""Evaluation of a model on a user's own data, with the evaluators of sentence-transformers and scikit-learn."""

from nearfar.evaluation.dispatch import TASKS, check_options, check_task, detect_task, evaluate
from nearfar.evaluation.intervals import Interval, bootstrap_mean, paired_correlation_difference, paired_difference
from nearfar.evaluation.mteb import find_mteb, run_mteb
from nearfar.evaluation.prompts import WithAndWithout, evaluate_prompts
from nearfar.evaluation.result import Result

__all__ = [
    "TASKS",
    "Interval",
    "Result",
    "WithAndWithout",
    "bootstrap_mean",
    "check_options",
    "check_task",
    "detect_task",
    "evaluate",
    "evaluate_prompts",
    "find_mteb",
    "paired_correlation_difference",
    "paired_difference",
    "run_mteb",
]
