"""Background and target as one dataset."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from nearfar.data.contrasted import attributes_of, joined, shared_column
from nearfar.errors import InputError

ROWS = DatasetDict(
    background=Dataset.from_dict({"text": ["a", "b", "c"]}),
    target=Dataset.from_dict({"text": ["x", "y"], "label": ["rain", "snow"]}),
)


def test_labels_say_where_a_row_is_from() -> None:
    found = joined(ROWS)
    assert found.column_names == ["text", "label"]
    assert found["text"][:] == ["a", "b", "c", "x", "y"]
    assert found["label"][:] == [0, 0, 0, 1, 1]


def test_with_attributes_labels_are_lists() -> None:
    found = joined(ROWS, np.asarray([[0.5, 2.0], [1.0, 3.0]]))
    assert found["label"][:] == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0.5, 2], [1, 1, 3]]


def test_background_and_target_must_be_of_one_kind() -> None:
    mixed = DatasetDict(background=ROWS["background"], target=Dataset.from_dict({"image": ["x.png"]}))
    assert shared_column(ROWS) == "text"
    with pytest.raises(InputError) as caught:
        shared_column(mixed)
    assert caught.value.field == "--data"


@pytest.mark.parametrize(
    ("kind", "discrete"),
    [("auto", [True, False]), ("continuous", [False, False]), ("discrete", [True, True])],
)
def test_continuous_attributes_are_scaled_and_discrete_ones_kept(kind, discrete) -> None:
    rows = Dataset.from_dict({"attributes": [[3.0, 10.0], [1.0, 20.5], [2.0, 31.0]]})
    found, found_discrete = attributes_of(rows, kind)
    assert found_discrete == discrete
    expected = [[3, 1, 2] if discrete[0] else [1, 0, 0.5], [10, 20.5, 31] if discrete[1] else [0, 0.5, 1]]
    assert np.allclose(found.T, expected)


def test_a_label_is_one_discrete_attribute() -> None:
    found, discrete = attributes_of(ROWS["target"])
    assert discrete == [True]
    assert found[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ({"text": ["a", "b"]}, "--data"),
        ({"attributes": [[1.0, 2.0], [1.0]]}, "attributes"),
        ({"attributes": [[], []]}, "attributes"),
    ],
)
def test_missing_and_unequal_attributes_are_refused(rows, field) -> None:
    with pytest.raises(InputError) as caught:
        attributes_of(Dataset.from_dict(rows))
    assert caught.value.field == field
