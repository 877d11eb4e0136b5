"""Triplets written by a generator, their scores, and which of them are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nearfar.errors import InputError
from nearfar.generation.calls import CallLog, Progress
from nearfar.generation.instructions import CONTRADICTION, ENTAILMENT, parse_score, scored, written
from nearfar.generation.interface import Decoding, Generator

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Row = Mapping[str, str]
Scores = tuple[float | None, float | None]
#: From pairs of texts to a score each, 0 to 5, None where there is none.
Scorer = Callable[[Sequence[tuple[str, str]]], list[float | None]]


def generate(
    sentences: Sequence[str],
    generator: Generator,
    log: CallLog,
    decoding: Decoding = Decoding(),  # noqa: B008 - immutable
    progress: Progress | None = None,
) -> list[Row]:
    """Write a triplet for each sentence: it, one that follows from it, one that contradicts it.

    With omega > 0 each instruction is contrasted with the other. Sentences for which either answer is empty give none.

    Raises:
        InputError: the generator cannot answer. What it answered before is in the log.
    """
    sides = ((ENTAILMENT, CONTRADICTION), (CONTRADICTION, ENTAILMENT))
    prompts = [written(right, wrong, text) for right, wrong in sides for text in sentences]
    answers = log.complete(generator, prompts, decoding, progress)
    near, far = answers[: len(sentences)], answers[len(sentences) :]
    triplets = zip(sentences, near, far, strict=True)
    return [{"anchor": text, "positive": a, "negative": b} for text, a, b in triplets if a and b]


def generated_scores(generator: Generator, log: CallLog, progress: Progress | None = None) -> Scorer:
    """A scorer that asks a generator, as the paper does with the one that wrote the triplets."""

    def scorer(pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        prompts = [scored(first, second) for first, second in pairs]
        return [parse_score(answer) for answer in log.complete(generator, prompts, Decoding(max_tokens=8), progress)]

    return scorer


def encoder_scores(encoder: SentenceTransformer) -> Scorer:
    """A scorer of five times the cosine of a sentence encoder, 0 where that is negative."""

    def scorer(pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        first, second = (encoder.encode([pair[side] for pair in pairs], normalize_embeddings=True) for side in (0, 1))
        return [5.0 * max(0.0, float(cosine)) for cosine in np.einsum("nd,nd->n", first, second)]

    return scorer


def score(rows: Sequence[Row], scorer: Scorer) -> list[Scores]:
    """The scores of anchor with positive, and of anchor with negative."""
    sides = ("positive", "negative")
    found = scorer([(row["anchor"], row[side]) for side in sides for row in rows])
    return list(zip(found[: len(rows)], found[len(rows) :], strict=True))


@dataclass(frozen=True)
class Rule:
    """Which triplets stay: those whose positive scores a >= alpha, whose negative b <= beta, and a >= b + gamma.

    Args:
        alpha, beta, gamma: The paper's 3, 3 and 1, on a scale of 0 to 5.
        swap: A negative that scores higher than the positive changes places with it first, as the authors' code does.
    """

    alpha: float = 3.0
    beta: float = 3.0
    gamma: float = 1.0
    swap: bool = True

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"{getattr(self, name)} is no score", field=name, remedy="use 0 to 5")

    def fault(self, a: float | None, b: float | None) -> str:
        """Why a triplet with these scores is dropped; empty where it stays."""
        if a is None or b is None:
            return "an answer was no score"
        if self.swap and min(a, b) > 4:
            return "both are too similar"
        if a < self.alpha:
            return f"the positive scores below {self.alpha:g}"
        if b > self.beta:
            return f"the negative scores above {self.beta:g}"
        return "" if a >= b + self.gamma else f"they are less than {self.gamma:g} apart"


def curate(rows: Sequence[Row], scores: Sequence[Scores], rule: Rule) -> tuple[list[dict], list[dict]]:
    """The triplets that stay and those that go, each with its scores; one that goes with the reason.

    A score that is none is None.
    """
    kept, dropped = [], []
    for row, (a, b) in zip(rows, scores, strict=True):
        near, far = row["positive"], row["negative"]
        if rule.swap and a is not None and b is not None and a < b:
            near, far, a, b = far, near, b, a
        judged = {"anchor": row["anchor"], "positive": near, "negative": far, "score_positive": a, "score_negative": b}
        if fault := rule.fault(a, b):
            dropped.append({**judged, "dropped": fault})
        else:
            kept.append(judged)
    return kept, dropped
