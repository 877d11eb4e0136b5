"""Which texts a classifier would label otherwise, when it learns from the other texts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

__all__ = ["OtherLabels", "other_labels"]

_FOLDS = 5
#: Inverse strength of the regularisation. Vectors have a mean length of 1: with 1, scikit-learn's default, the
#: probabilities of many labels are nearly equal.
_C = 10.0


@dataclass(frozen=True)
class OtherLabels:
    """Labels that are probably wrong.

    Args:
        suspects: By row, the label that is more likely, and how many times as likely it is as the given one.
        unchecked: Number of rows whose labels could not be checked.
    """

    suspects: dict[int, tuple[Hashable, float]]
    unchecked: int


def other_labels(
    vectors: Float[np.ndarray, "rows d"],
    labels: Sequence[Hashable],
    groups: Int[np.ndarray, " rows"],
    *,
    times: float,
    seed: int,
) -> OtherLabels:
    """Find labels that are probably wrong, by logistic regression on other rows (five folds).

    It is done twice: in the second pass the classifier does not learn from the rows that the first pass suspects, so
    that wrong labels do not hide each other. Labels with fewer than five texts are learned, but not checked; neither
    are labels most of whose rows are suspected, as such labels overlap with others rather than being wrong.

    Args:
        vectors: One per row. They are centred and scaled, as those of some encoders have nearly one direction.
        labels: One per row.
        groups: Equal for rows with equal texts, which are never on both sides.
        times: How many times as likely as the given label another one is, at least.
        seed: Random seed of the folds.

    Source: Northcutt et al. 2021, Confident Learning: Estimating Uncertainty in Dataset Labels (predictions for rows
        that were not learned from); the ratio, instead of a threshold for each label, is our own.
    """
    values = list(dict.fromkeys(labels))
    number = {value: place for place, value in enumerate(values)}
    given = np.array([number[label] for label in labels])
    texts = np.bincount(np.unique(np.stack([given, groups]), axis=1)[0], minlength=len(values))
    checked = texts >= _FOLDS
    suspected = np.zeros(len(given), dtype=bool)
    if checked.sum() < 2:
        return OtherLabels({}, len(given))
    centred = vectors - vectors.mean(axis=0)
    centred /= np.sqrt(max((centred**2).sum(axis=1).mean(), np.finfo(centred.dtype).tiny))
    found, ratio = given, np.zeros(len(given))
    for attempt in range(2):
        found, ratio = _likelier(centred, given, groups, checked[given], ~suspected, seed + attempt)
        suspected = ratio >= times
        of = np.bincount(given[suspected], minlength=len(values))
        checked &= 2 * of <= np.bincount(given)
        suspected &= checked[given]
    suspects: dict[int, tuple[Hashable, float]] = {
        int(row): (values[found[row]], float(ratio[row])) for row in np.flatnonzero(suspected)
    }
    return OtherLabels(suspects, int((~checked[given]).sum()))


def _likelier(
    vectors: Float[np.ndarray, "rows d"],
    given: Int[np.ndarray, " rows"],
    groups: Int[np.ndarray, " rows"],
    checked: Bool[np.ndarray, " rows"],
    trusted: Bool[np.ndarray, " rows"],
    seed: int,
) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """For each checked row, the most likely label and how many times as likely as its own it is; 0 for the others.

    The classifier learns from the trusted rows of the other folds and from those that are not checked.
    """
    asked_of, always = np.flatnonzero(checked), np.flatnonzero(~checked)
    best, ratio = given.copy(), np.zeros(len(given))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for learned, asked in folds.split(vectors[asked_of], given[asked_of], groups[asked_of]):
        rows, own = asked_of[asked], np.concatenate([asked_of[learned], always])
        own = own[trusted[own]]
        classifier = LogisticRegression(C=_C, max_iter=1_000).fit(vectors[own], given[own])
        # Equal texts are in one fold: if a label has hardly any others, no row of it may be left to learn from.
        rows = rows[np.isin(given[rows], classifier.classes_)]
        probabilities = classifier.predict_proba(vectors[rows])
        likeliest = probabilities.argmax(axis=1)
        row, place = np.arange(len(rows)), np.searchsorted(classifier.classes_, given[rows])
        best[rows] = classifier.classes_[likeliest]
        smallest = np.finfo(probabilities.dtype).tiny
        ratio[rows] = probabilities[row, likeliest] / np.maximum(probabilities[row, place], smallest)
    return best, ratio
