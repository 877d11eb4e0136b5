"""Search by words, and two rankings as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nearfar.errors import InputError
from nearfar.search import build_index
from nearfar.search.fusion import fused
from nearfar.search.lexical import LexicalIndex, open_lexical

TEXTS = ["the cat sits", "a dog barks", "cat and dog", "ich möchte Brot", "東京の天気", "!", "x"]


@pytest.fixture
def words(tmp_path: Path) -> LexicalIndex:
    pytest.importorskip("bm25s")
    return open_lexical(tmp_path / "words", pa.chunked_array([TEXTS]), len(TEXTS))


def test_the_words_of_any_script(words: LexicalIndex) -> None:
    rows, scores = words.nearest(["Cat DOG", "möchte", "東京", "x", "unknown", "?"], 3)
    assert rows[0].tolist() == [2, 0, 1] or rows[0].tolist() == [2, 1, 0]
    assert rows[1:, 0].tolist() == [3, 4, 6, -1, -1]
    assert np.isneginf(scores[3:, 1:]).all()
    # Only documents with a word of the query.
    assert (rows[1:, 1:] == -1).all()


def test_the_score_is_that_of_the_formula(words: LexicalIndex) -> None:
    # Lucene's BM25: idf * tf / (tf + k1 (1 - b + b length / mean length)), k1 = 1.5, b = 0.75.
    lengths = np.array([3, 3, 3, 3, 5, 0, 1])
    idf = np.log(1 + (7 - 2 + 0.5) / (2 + 0.5))
    wanted = idf / (1 + 1.5 * (1 - 0.75 + 0.75 * 3 / lengths.mean()))
    _, scores = words.nearest(["dog"], 1)
    assert scores[0, 0] == pytest.approx(wanted, rel=1e-4)


def test_only_what_is_allowed(words: LexicalIndex) -> None:
    allowed = np.array([True, False, False, True, True, True, True])
    rows, _ = words.nearest(["cat dog"], 3, allowed)
    assert rows.tolist() == [[0, -1, -1]]


def test_a_damaged_file_is_named(words: LexicalIndex, tmp_path: Path) -> None:
    file = tmp_path / "words" / "vocab.index.json"
    file.write_text(file.read_text() + " ")
    with pytest.raises(InputError, match=r"vocab\.index\.json"):
        open_lexical(tmp_path / "words", pa.chunked_array([TEXTS]), len(TEXTS))


def test_sums_of_reciprocal_ranks() -> None:
    first, second = np.array([[3, 1, 2]]), np.array([[1, 5, -1]])
    rows, scores = fused([first, second], 5)
    assert rows.tolist() == [[1, 3, 5, 2, -1]]
    np.testing.assert_allclose(scores[0, :4], [1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63], rtol=1e-6)


def test_a_rare_word_is_found_beside_what_is_near(tiny_model, tmp_path: Path) -> None:
    pytest.importorskip("bm25s")
    texts = [f"the cat number {number}" for number in range(40)] + ["error X417 of the printer"]
    index = build_index(tiny_model, texts, tmp_path / "index")
    found = index.search("X417", 5, hybrid=True)
    assert "error X417 of the printer" in [hit.text for hit in found[:2]]
    assert [hit.rank for hit in found] == [1, 2, 3, 4, 5]
