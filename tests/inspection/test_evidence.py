"""What supports a candidate for a false negative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from nearfar.inspection import inspect
from nearfar.inspection.evidence import Opinion, support_of
from nearfar.inspection.findings import false_negatives
from nearfar.inspection.measuring import measure
from nearfar.inspection.sample import Sample
from nearfar.inspection.sampling import draw_sample

from .helpers import pairs, unit


def opinion(sample: Sample, a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> Opinion:
    vectors = (unit(a), unit(b))
    return Opinion(vectors, measure(sample, vectors).neighbours)


#: The first positive is the negative of the second row; everything else is as it should be.
ANCHORS = np.eye(3)
CONFUSED = [[0.5, 0.8, 0.0], [0.2, 0.5, 0.8], [0.0, 0.0, 1.0]]
OTHERWISE_CONFUSED = [[0.5, 0.9, 0.0], [0.2, 0.5, 0.8], [0.0, 0.0, 1.0]]
CLEAR = np.eye(3)


def test_one_model_alone_supports_nothing() -> None:
    sample = draw_sample(pairs(3), 10)
    found = opinion(sample, ANCHORS, CONFUSED)
    assert (found.neighbours.above > 0).tolist() == [False, True, False]
    assert support_of(sample, [found], 0) == [(), (), ()]
    assert [each.support for each in false_negatives(sample, found.neighbours)] == [()]


def test_models_that_agree_support_it_and_one_that_does_not_agree_takes_it_away() -> None:
    sample = draw_sample(pairs(3), 10)
    confused, clear = opinion(sample, ANCHORS, CONFUSED), opinion(sample, ANCHORS, CLEAR)
    other = opinion(sample, ANCHORS, OTHERWISE_CONFUSED)
    assert support_of(sample, [confused, other], 0) == [(), ("models",), ()]
    assert support_of(sample, [confused, clear], 0) == [(), (), ()]
    assert support_of(sample, [confused, clear], 1) == [(), (), ()]


@pytest.mark.parametrize(
    "rows",
    [
        # The negative of the second row repeats its positive; it is that of a row with the same text; it is the row.
        [("a", " Yes "), ("b", "yes"), ("c", "no")],
        [("B ", "yes"), ("b", "no"), ("c", "maybe")],
        [("a", "The  B"), ("the b", "no"), ("c", "maybe")],
    ],
)
def test_duplicates_support_it(rows: list[tuple[str, str]]) -> None:
    sample = draw_sample(Dataset.from_dict({"anchor": [a for a, _ in rows], "positive": [b for _, b in rows]}), 10)
    assert support_of(sample, [opinion(sample, ANCHORS, CONFUSED)], 0)[1] == ("duplicates",)


@pytest.mark.parametrize(("labels", "expected"), [("xxy", ("labels", "models")), ("xyy", ())])
def test_labels_support_or_contradict_it(labels: str, expected: tuple[str, ...]) -> None:
    sample = replace(draw_sample(pairs(3), 10), labels=np.zeros(3, int), groups=(list(labels), list(labels)))
    found = [opinion(sample, ANCHORS, positives) for positives in (CONFUSED, OTHERWISE_CONFUSED)]
    assert support_of(sample, found, 0)[1] == expected


def test_likely_ones_come_first_and_are_counted(tiny_model) -> None:
    words = ["cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank"]
    rows = Dataset.from_dict(
        {
            "anchor": [f"the {word}" for word in words] + ["The  cat"],
            "positive": [f"a {word} {word}" for word in words[1:] + words[:1]] + ["the CAT sits"],
        }
    )
    alone = inspect(tiny_model, rows, layers=[], dims=[])
    assert alone.false_negative_rows > alone.likely_rows
    assert alone.models == 1
    assert all(set(each.support) <= {"duplicates"} for each in alone.false_negatives)
    # A model agrees with itself, which says nothing.
    same = inspect(tiny_model, rows, against=tiny_model, layers=[], dims=[])
    assert (same.models, same.likely_rows) == (2, alone.likely_rows)
    assert same.as_dict()["false_negatives"]["models"] == 2
    supported = [bool(each.support) for each in alone.false_negatives]
    assert supported == sorted(supported, reverse=True)
