"""Several positives of an anchor in one row."""

from __future__ import annotations

from datasets import Dataset

from nearfar.data.positives import paired_with_themselves, with_several_positives

ROWS = Dataset.from_dict(
    {"anchor": ["a", "b", "a", "a"], "positive": ["1", "2", "3", "4"], "negative": ["n1", "n2", "n3", "n4"]}
)


def test_positives_are_joined_and_repeated_to_fill_a_row() -> None:
    found, columns = with_several_positives(ROWS, 2)
    assert columns == 2
    assert found.to_list() == [
        {"anchor": "a", "positive": "1", "positive_2": "3", "negative": "n1"},
        {"anchor": "a", "positive": "4", "positive_2": "4", "negative": "n4"},
        {"anchor": "b", "positive": "2", "positive_2": "2", "negative": "n2"},
    ]


def test_no_more_columns_than_positives() -> None:
    assert with_several_positives(ROWS, 9)[1] == 3
    single, columns = with_several_positives(ROWS.select([0, 1]), 9)
    assert columns == 1
    assert single.to_list() == ROWS.select([0, 1]).to_list()


def test_a_pair_that_occurs_twice_counts_once() -> None:
    twice = Dataset.from_dict({"anchor": ["a", "a", "a"], "positive": ["1", "2", "1"]})
    assert with_several_positives(twice, 3)[0].to_list() == [{"anchor": "a", "positive": "1", "positive_2": "2"}]


def test_texts_are_their_own_positives() -> None:
    rows = paired_with_themselves(Dataset.from_dict({"text": ["a", "b"]}))
    assert rows.to_dict() == {"anchor": ["a", "b"], "positive": ["a", "b"]}
