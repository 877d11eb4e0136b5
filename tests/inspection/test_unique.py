"""Unique values of columns."""

from __future__ import annotations

from nearfar.inspection.unique import unique_values


def test_equal_texts_share_an_id_and_are_known_by_their_first_row() -> None:
    found = unique_values(["a", "b", "a"], ["c", "a", "d"])
    assert found.values == ["a", "b", "c", "d"]
    assert found.ids.tolist() == [[0, 2], [1, 0], [0, 3]]
    assert found.rows.tolist() == [0, 1, 0, 2]


def test_files_of_the_hub_are_each_their_own() -> None:
    file = {"path": "a.png", "bytes": None}
    found = unique_values(["a", "a"], [file, file])
    assert found.values == ["a", file, file]
    assert found.ids.tolist() == [[0, 1], [0, 2]]
    assert found.rows.tolist() == [0, 0, 1]
