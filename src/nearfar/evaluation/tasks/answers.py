"""Answers: does the model answer the questions as the rows do?"""

from __future__ import annotations

import numpy as np
from datasets import Dataset

from nearfar.data.answers import equal_numbers, normalised, value_of
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.models.abilities import Conditions

__all__ = ["measure"]

#: The task whose prefix precedes a question, if the model has one.
PREDICT = "predict"
#: Most tokens of an answer.
MOST_TOKENS = 64


def measure(model: Conditions, data: Dataset, asked: Asked) -> Result:
    """Accuracy (primary) and exact match of greedy answers.

    An answer is right if it equals that of the row, without regard to case, spaces and a final full stop, or if both
    are numbers or equations (such as `( 8 - 3 ) * 2`) of equal value. `exact_match` counts equal texts only.

    Args:
        model: A language model; a prefix `predict` that its training recorded precedes each question.
        data: Columns `question` and `answer`.
        asked: How to evaluate.
    """
    prefix = model.prefixes.get(PREDICT, "")
    sources, gold = [prefix + question for question in data["question"]], list(data["answer"])
    found: list[str] = []
    for start in range(0, len(sources), asked.batch_size):
        part = sources[start : start + asked.batch_size]
        targets = model.sample_targets(part, max_new_tokens=MOST_TOKENS, batch_size=asked.batch_size)
        found += model.target_texts(targets)
        if asked.progress is not None:
            asked.progress(len(found), len(sources))
    same = np.array([normalised(a) == normalised(b) for a, b in zip(found, gold, strict=True)], dtype=float)
    right = np.array([equal_numbers(a, b) for a, b in zip(found, gold, strict=True)], dtype=float)
    per_item = {"accuracy": np.maximum(same, right), "exact_match": same}
    numbers = sum(value_of(answer) is not None for answer in gold)
    notes = () if prefix else ("the model has no recorded prefix for answers: questions are given as they are",)
    if numbers:
        unread = sum(value_of(a) is None for a, b in zip(found, gold, strict=True) if value_of(b) is not None)
        if unread:
            notes += (f"{unread} of {numbers} answers to questions with a number are not a number or equation",)
    return Result(
        "answers",
        "accuracy",
        {name: float(values.mean()) for name, values in per_item.items()},
        n=len(found),
        per_item=per_item,
        notes=notes,
        interval=bootstrap_mean(per_item["accuracy"], seed=asked.seed) if len(found) > 1 else None,
    )
