"""Rationales by a language model: several for each question, each with the answer that it reaches.

Source: Wang et al. 2025, QCRD (arXiv 2405.13014), and Wang et al. 2023, Self-Consistency (arXiv 2203.11171).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from nearfar.data.answers import answer_key
from nearfar.generation.calls import CallLog, Progress
from nearfar.generation.interface import Decoding, Generator, Prompt
from nearfar.mining.rationales import majority

__all__ = ["SAMPLES", "SAMPLING", "Rationale", "explain", "parse_rationale", "prompted", "with_rationales"]

#: Rationales of a question, and how they are sampled.
SAMPLES, SAMPLING = 5, Decoding(max_tokens=160, temperature=0.7)
_EXAMPLES = (
    (
        "A box has 3 red and 5 blue pens. Two blue pens are lost. How many pens are in the box?",
        "There were 3 + 5 = 8 pens, and 8 - 2 = 6 are left. The answer is 6.",
    ),
    (
        "Where would you keep milk so that it stays fresh? (a) cupboard (b) fridge (c) oven",
        "Milk stays fresh where it is cold, and of these only a fridge is cold. The answer is fridge.",
    ),
)
_ANSWER = re.compile(r"\b(?:(?:so|thus|hence|therefore),?\s+)?the (?:final )?answer is\b:?", re.IGNORECASE)


class Rationale(TypedDict):
    """A rationale, and the answer that it reaches."""

    text: str
    answer: str


def prompted(question: str, sample: int = 0) -> Prompt:
    """The prompt for a rationale in one line that ends in an answer."""
    task = "Answer the question. Think step by step in one line, and end the line with: The answer is ..."
    shown = "".join(f"Question: {asked}\nReasoning: {reason}\n\n" for asked, reason in _EXAMPLES)
    return Prompt(f"{task}\n\n{shown}Question: {' '.join(question.split())}\nReasoning:", sample=sample)


def parse_rationale(line: str) -> Rationale | None:
    """The rationale and the answer in a line; None if it has no answer, or nothing before it."""
    phrases = list(_ANSWER.finditer(line))
    if not phrases:
        return None
    reason = line[: phrases[-1].start()].strip(" \t,;:-")
    answer = line[phrases[-1].end() :].strip().removesuffix(".").strip("\"'*` ")
    return {"text": reason, "answer": answer} if reason and answer else None


def explain(
    questions: Sequence[str],
    generator: Generator,
    log: CallLog,
    samples: int = SAMPLES,
    decoding: Decoding = SAMPLING,
    progress: Progress | None = None,
) -> list[list[Rationale]]:
    """Sample rationales for each question; lines without an answer are dropped.

    Args:
        questions: The questions.
        generator: The language model.
        log: Keeps each answer, so that an interrupted run can be resumed.
        samples: Rationales of a question; those that are equal are kept once each time they are sampled.
        decoding: How to sample.
        progress: Called with (answers so far, number of answers).

    Raises:
        InputError: The generator failed. Earlier answers are in the log.
    """
    prompts = [prompted(question, sample) for question in questions for sample in range(samples)]
    lines = log.complete(generator, prompts, decoding, progress)
    parsed = [parse_rationale(line) for line in lines]
    return [
        [rationale for rationale in parsed[start : start + samples] if rationale is not None]
        for start in range(0, len(parsed), samples)
    ]


def with_rationales(
    rows: Sequence[Mapping[str, str]], found: Sequence[Sequence[Rationale]]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows of the schema `rationales`, of the questions that have any, and counts.

    Args:
        rows: `question`, and `answer` if it is known; otherwise the answer is that of most rationales.
        found: The rationales of each.

    Returns:
        The rows, and the numbers of all `rationales`, of those that `agree` with most of their question, of majority
        answers to questions with a `known` answer, and of those that are `right`.
    """
    kept, counts = [], Counter(rationales=0, agree=0, known=0, right=0)
    for row, rationales in zip(rows, found, strict=True):
        if not rationales:
            continue
        usual = majority([rationale["answer"] for rationale in rationales])
        gold = row.get("answer")
        kept.append({"question": row["question"], "answer": gold or usual, "rationales": list(rationales)})
        counts["rationales"] += len(rationales)
        counts["agree"] += sum(answer_key(rationale["answer"]) == answer_key(usual) for rationale in rationales)
        counts["known"] += bool(gold)
        counts["right"] += bool(gold) and answer_key(usual) == answer_key(str(gold))
    return kept, dict(counts)
