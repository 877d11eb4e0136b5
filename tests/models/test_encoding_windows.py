"""Windows of texts: their size, and what their stored vectors depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearfar.models import fingerprint
from nearfar.models.encoding import encode
from nearfar.models.encoding_windows import encode_text_windows, encode_windows
from nearfar.models.stored_arrays import StoredArrays

TEXTS = [f"the {['cat', 'dog', 'bird'][row % 3]} " * (1 + row * 7 % 5) + str(row) for row in range(70)]


@pytest.mark.parametrize(("options", "size"), [({"batch_size": 1}, 32), ({"batch_size": 1, "size": 20}, 20)])
def test_windows_are_encoded_one_by_one(tiny_model, options: dict[str, int], size: int) -> None:
    windows = list(encode_windows(tiny_model, TEXTS, **options))
    assert [texts for texts, _ in windows] == [TEXTS[start : start + size] for start in range(0, len(TEXTS), size)]
    for texts, vectors in windows:
        np.testing.assert_array_equal(vectors, encode(tiny_model, texts, batch_size=1))


def test_some_windows(tiny_model) -> None:
    seen: list[tuple[int, int]] = []
    asked: list[tuple[int, int]] = []

    def make(number: int, texts: list[str]) -> np.ndarray:
        asked.append((number, len(texts)))
        return np.zeros((len(texts), 2), dtype=np.float32)

    found = encode_text_windows(
        tiny_model, TEXTS, size=20, part=range(2, 4), make=make, progress=lambda *done: seen.append(done)
    )
    assert [texts for texts, _ in found] == [TEXTS[40:60], TEXTS[60:]]
    assert (asked, seen) == ([(2, 20), (3, 10)], [(20, 30), (30, 30)])


def test_stored_vectors_of_earlier_versions_are_used(tiny_model, tmp_path: Path) -> None:
    stored = StoredArrays(tmp_path)
    # In this order: the fingerprint, batch size, maximum length, whether normalised, kind, prompt, and the texts.
    key = (fingerprint(tiny_model), 64, None, True, "query", None)
    given = np.ones((70, 3), dtype=np.float32)
    stored.get((*key, *TEXTS), lambda: given, rows=70)
    ((_, vectors),) = encode_windows(tiny_model, TEXTS, kind="query", stored=stored)
    np.testing.assert_array_equal(vectors, given)
