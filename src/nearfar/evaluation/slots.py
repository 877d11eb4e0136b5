"""SLU-F1: how well the slots of spoken requests are found, with partial credit for values that are nearly right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nearfar.evaluation.words import word_errors

__all__ = ["slu_f1"]

Slot = tuple[str, str]


def slu_f1(told: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """The F1 of slots such as `date=tomorrow morning`, summed over words and characters; 1 if there are none at all.

    In the order in which they are told, each slot takes the slot of the item with the same label and the nearest value.
    Such a match is one true positive, and the distance d of the values is added to the false positives and to the false
    negatives; a slot without a match is one of these. d is the word error rate of the value (may be above 1), and once
    more the Levenshtein distance of its characters over the length of the longer value. All counts of both distances
    are added, which gives F1 = 2 TP / (2 TP + FP + FN). In values, upper case counts as lower; a slot without `=` is a
    label without a value.

    Args:
        told: The slots that were written for each item.
        gold: The right ones.

    Source: Bastianelli, Vanzo, Swietojanski, Rieser 2020, SLURP: A Spoken Language Understanding Resource Package,
    section 4, and the evaluation scripts of that package.
    """
    matches = errors = 0.0
    for one, right in zip(told, gold, strict=True):
        for distance in (_of_words, _of_characters):
            found, wrong = _counts([_parts(slot) for slot in one], [_parts(slot) for slot in right], distance)
            matches, errors = matches + found, errors + wrong
    return 2 * matches / (2 * matches + errors) if matches or errors else 1.0


def _counts(told: list[Slot], gold: list[Slot], distance: Callable[[str, str], float]) -> tuple[int, float]:
    """The true positives, and the false positives and false negatives together."""
    found, errors, left = 0, 0.0, list(gold)
    for label, value in told:
        same = [(distance(value, right), place) for place, (name, right) in enumerate(left) if name == label]
        if not same:
            errors += 1
            continue
        nearest, place = min(same)
        found, errors = found + 1, errors + 2 * nearest
        del left[place]
    return found, errors + len(left)


def _parts(slot: str) -> Slot:
    label, _, value = slot.partition("=")
    return label.strip(), value.strip().lower()


def _of_words(told: str, gold: str) -> float:
    return word_errors(told.split(), gold.split()) / max(1, len(gold.split()))


def _of_characters(told: str, gold: str) -> float:
    return word_errors(list(told), list(gold)) / max(1, len(told), len(gold))
