"""Labels as losses and prompts need them."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.data.labels import in_words, with_integer_labels
from nearfar.errors import InputError


def test_labels_become_numbers_in_sorted_order() -> None:
    rows = Dataset.from_dict({"text": list("abcde"), "label": ["z", "b", "z", "b", "m"]})
    assert with_integer_labels(rows)["label"][:] == [2, 0, 2, 0, 1]
    numbers = Dataset.from_dict({"text": list("abcd"), "label": [10, 9, 10, 9]})
    assert with_integer_labels(numbers)["label"][:] == [1, 0, 1, 0]


def test_two_labels_must_have_two_texts() -> None:
    with pytest.raises(InputError) as caught:
        with_integer_labels(Dataset.from_dict({"text": list("abc"), "label": ["z", "z", "b"]}))
    assert caught.value.field == "label"


@pytest.mark.parametrize(
    ("label", "words"),
    [("orderDrink", "order drink"), ("order_drink", "order drink"), ("T-shirt", "T shirt"), ("USA", "USA"), ("7", "7")],
)
def test_labels_in_words(label: str, words: str) -> None:
    assert in_words(label) == words
