"""A judge of pairs of texts: a model that scores pairs, or a language model that writes a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Counted", "Scorer", "endpoint_judge", "model_judge"]

#: From first and second texts to the score of each pair; NaN where there is none.
Scorer = Callable[[Sequence[str], Sequence[str]], np.ndarray]


class Counted:
    """A judge that counts what it was asked and what it did not answer.

    Args:
        judge: The judge.
    """

    def __init__(self, judge: Scorer) -> None:
        self._judge = judge
        self.pairs = self.unanswered = 0

    def __call__(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """The judge's scores."""
        scores = self._judge(first, second)
        self.pairs += len(scores)
        self.unanswered += int(np.isnan(scores).sum())
        return scores


def model_judge(model: Any, batch_size: int = 64) -> Scorer:
    """A judge that is a cross-encoder, an encoder or a local language model; see `nearfar.search.judge.Judge`.

    Raises:
        InputError: The model does not exist or does not score pairs.
    """
    from nearfar.search.judge import Judge

    return Judge(model, batch_size=batch_size).score


def endpoint_judge(generator: Any, calls: str | Path) -> Scorer:
    """A judge that is a generator, such as `nearfar.generation.endpoint.Endpoint`; its answers are stored and reused.

    Args:
        generator: A `nearfar.generation.interface.Generator`, which is asked for a score from 0 to 5.
        calls: The log of calls.
    """
    from nearfar.generation import CallLog
    from nearfar.generation.triplets import generated_scores

    scorer = generated_scores(generator, CallLog(calls))

    def judge(first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        found = scorer(list(zip(first, second, strict=True)))
        return np.array([np.nan if score is None else score for score in found])

    return judge
