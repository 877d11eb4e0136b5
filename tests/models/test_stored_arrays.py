"""Arrays are stored by what they were computed from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearfar.models.stored_arrays import StoredArrays


def test_an_array_is_computed_once_for_the_same_input(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> np.ndarray:
        made.append(1)
        return np.arange(3.0) + len(made)

    stored = StoredArrays(tmp_path / "arrays")
    first = stored.get(("model", "a text"), make, rows=3)
    assert (StoredArrays(tmp_path / "arrays").get(("model", "a text"), make, rows=3) == first).all()
    assert len(made) == 1
    for other in (("model", "another"), ("model", "a", "text"), ("model 2", "a text")):
        stored.get(other, make, rows=3)
    assert len(made) == 4
    file = next(stored.folder.glob("*.npy"))
    file.write_bytes(file.read_bytes()[:20])
    for each in (("model", "a text"), ("model", "another"), ("model", "a", "text"), ("model 2", "a text")):
        stored.get(each, make, rows=3)
    assert len(made) == 5


@pytest.mark.parametrize("damage", [np.zeros(2), np.array([1.0, np.nan, 2.0]), np.array(1.0)])
def test_an_array_of_another_length_or_with_nan_is_computed_again(damage: np.ndarray, tmp_path: Path) -> None:
    stored = StoredArrays(tmp_path)
    stored.get(("a",), lambda: np.ones(3), rows=3)
    (file,) = tmp_path.glob("*.npy")
    np.save(file, damage)
    assert stored.get(("a",), lambda: np.full(3, 5.0), rows=3).tolist() == [5.0, 5.0, 5.0]
    assert np.load(file).tolist() == [5.0, 5.0, 5.0]


def test_only_unused_arrays_are_removed(tmp_path: Path) -> None:
    stored = StoredArrays(tmp_path)
    stored.get(["old"], lambda: np.zeros(1), rows=1)
    (tmp_path / "mine.npy").write_bytes(b"")
    now = StoredArrays(tmp_path)
    now.get(["new"], lambda: np.ones(1), rows=1)
    now.remove_unused()
    assert len(list(tmp_path.iterdir())) == 2
    assert (tmp_path / "mine.npy").exists()
    assert StoredArrays(tmp_path).get(["new"], lambda: np.zeros(1), rows=1) == 1
