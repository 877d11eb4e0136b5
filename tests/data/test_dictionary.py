"""Entries of a dictionary as labels."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.data.dictionary import with_entry_labels
from nearfar.errors import InputError


def test_definitions_of_an_entry_share_a_label() -> None:
    rows = Dataset.from_dict({"entry": ["sun", "moon", "sun"], "definition": ["a star", "a satellite", "a light"]})
    found, entries = with_entry_labels(rows)
    assert entries == ["moon", "sun"]
    assert found.to_dict() == {"definition": ["a star", "a satellite", "a light"], "label": [1, 0, 1]}


def test_one_entry_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        with_entry_labels(Dataset.from_dict({"entry": ["sun", "sun"], "definition": ["a", "b"]}))
    assert caught.value.field == "entry"
