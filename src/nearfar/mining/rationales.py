"""Good and bad rationales: by the answer that most of them reach, or by corrupting good ones."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from nearfar.data.answers import answer_key
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["corrupted", "majority", "sorted_rationales"]

logger = logging.getLogger(__name__)

By = Literal["majority", "gold", "all"]


def majority(answers: Sequence[str]) -> str:
    """The most frequent answer; of several, the one that comes first (self-consistency, Wang et al. 2023).

    Answers are the same if their texts or their values are equal, see `nearfar.data.answers`.
    """
    counts = Counter(map(answer_key, answers))
    return max(answers, key=lambda answer: counts[answer_key(answer)])


def sorted_rationales(rows: Dataset, by: By = "majority", *, at_most: int = 0, seed: int = 0) -> Dataset:
    """Rows with `question`, `answer`, `positives`, `negatives` (lists of texts) and `index`.

    Args:
        rows: Columns `question`, `answer` and `rationales`: lists of texts, or of {text, answer}.
        by: A rationale is good if its answer is that of most rationales of its row (`majority`) or the row's own
            (`gold`); or all are good. Rationales without an answer of their own are good.
        at_most: Rationales of a row, chosen at random; 0: all.
        seed: Random seed of the choice.

    Raises:
        InputError: No row has a good rationale. Rows without one are left out, and a note counts them.
    """
    from datasets import Dataset, Features, List, Value

    chosen, found = random.Random(seed), []
    for row in rows.to_list():
        rationales = row["rationales"]
        if at_most and len(rationales) > at_most:
            rationales = chosen.sample(rationales, at_most)
        good, bad = _split(rationales, row["answer"], by)
        if good:
            own = {"question": row["question"], "answer": row["answer"], "index": len(found)}
            found.append({**own, "positives": good, "negatives": bad})
    if not found:
        raise InputError("no row has a good rationale", field="rationales", remedy="see the option positive_by")
    if len(found) < len(rows):
        logger.warning("%d of %d rows have no good rationale and are left out", len(rows) - len(found), len(rows))
    text, texts = Value("string"), List(Value("string"))
    features = {"question": text, "answer": text, "index": Value("int64"), "positives": texts, "negatives": texts}
    return Dataset.from_list(found, features=Features(features))


def _split(rationales: Sequence[Any], gold: str, by: By) -> tuple[list[str], list[str]]:
    """The good and the bad rationales of a row."""
    pairs = [(item["text"], item["answer"]) if isinstance(item, dict) else (item, None) for item in rationales]
    answers = [answer for _, answer in pairs if answer is not None]
    if by == "all" or not answers:
        return [text for text, _ in pairs], []
    right = answer_key(gold if by == "gold" else majority(answers))
    sides: tuple[list[str], list[str]] = ([], [])
    for text, answer in pairs:
        sides[answer is not None and answer_key(answer) != right].append(text)
    return sides


def corrupted(text: str, words: Sequence[str], rate: float) -> str:
    """A text in which some words (at least one) are removed or replaced by others, by torch's random generator.

    Args:
        text: The text.
        words: Words to replace with.
        rate: Fraction of the words that change.
    """
    own = text.split()
    changed = torch.rand(len(own)) < rate
    changed[torch.randint(len(own), ())] = True
    removed = torch.rand(len(own)) < (0.5 if len(own) > 1 else 0.0)
    other = torch.randint(len(words), (len(own),)).tolist()
    choices = zip(own, changed.tolist(), removed.tolist(), other, strict=True)
    kept = [str(words[n]) if change else word for word, change, remove, n in choices if not (change and remove)]
    return " ".join(kept) or str(words[other[0]])
