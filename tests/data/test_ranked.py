"""Ranked lists as rows of a fixed number of candidates."""

from __future__ import annotations

import math

import pytest
from datasets import Dataset

from nearfar.data.ranked import lists_of_pairs, with_candidate_columns
from nearfar.errors import InputError


def lists(*rows: tuple[str, list[str], list[float]]) -> Dataset:
    query, candidates, scores = zip(*rows, strict=True)
    return Dataset.from_dict({"query": list(query), "candidates": list(candidates), "scores": list(scores)})


def test_a_long_list_becomes_rows_with_its_best_and_some_of_the_others() -> None:
    found = with_candidate_columns(lists(("q", list("abcde"), [1.0, 5.0, 3.0, 2.0, 4.0])), 3)
    assert found.column_names == ["query", "candidate_1", "candidate_2", "candidate_3", "label"]
    assert [tuple(row.values()) for row in found.to_list()] == [
        ("q", "b", "e", "d", [5.0, 4.0, 2.0]),
        ("q", "b", "c", "a", [5.0, 3.0, 1.0]),
    ]


def test_a_short_list_is_filled_up_with_what_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    rows = lists(("q", ["a", "b"], [1.0, 2.0]), ("r", ["c", "d", "e"], [3.0, 2.0, 1.0]), ("s", ["alone"], [1.0]))
    found = with_candidate_columns(rows, 8)
    assert found[0] == {
        "query": "q", "candidate_1": "b", "candidate_2": "a", "candidate_3": "b", "label": [2.0, 1.0, -math.inf],
    }  # fmt: skip
    assert found["query"][:] == ["q", "r"]
    assert "1 queries" in caplog.text


@pytest.mark.parametrize("rows", [[("q", ["a", "b"], [1.0])], [("q", ["a"], [1.0])]])
def test_lists_that_cannot_be_used_are_refused(rows) -> None:
    with pytest.raises(InputError):
        with_candidate_columns(lists(*rows), 4)


def test_pairs_with_negatives_become_lists() -> None:
    rows = Dataset.from_dict(
        {"anchor": ["a", "bb"], "positive": ["ccc", "d"], "negative_1": ["ee", "f"], "negative_2": ["g", "hhhh"]}
    )
    found = lists_of_pairs(
        rows, lambda first, second: [10 * len(x) + len(y) for x, y in zip(first, second, strict=True)]
    )
    assert found[1] == {"query": "bb", "candidates": ["d", "f", "hhhh"], "scores": [21.0, 21.0, 24.0]}
    with pytest.raises(InputError, match="negative"):
        lists_of_pairs(rows.select_columns(["anchor", "positive"]), lambda *_: [])
