from __future__ import annotations

from typing import Any

import pytest

from nearfar.models.answers import IGNORED
from nearfar.models.vision_language.documents import caption, described, interleaved, pieces, question
from nearfar.models.vision_language.places import IMAGE
from word_level import word_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return word_tokenizer()


def words(tokenizer: Any, tokens: list[int]) -> list[str]:
    return ["IMAGE" if token == IMAGE else tokenizer.convert_ids_to_tokens(token) for token in tokens]


def test_an_image_and_its_caption(tokenizer: Any) -> None:
    found = interleaved(tokenizer, described("a.png", "the cat"), 9)
    assert words(tokenizer, found.tokens) == ["IMAGE", "the", "cat", "</s>"]
    assert found.labels == [IGNORED, *found.tokens[1:]]
    assert found.images == ["a.png"]
    assert caption(tokenizer, "the cat", 9) == found.tokens


def test_a_text_before_the_first_image_is_not_predicted(tokenizer: Any) -> None:
    parts = [{"text": "the sky"}, {"image": "a"}, {"text": "the cat"}, {"image": "b"}, {"text": "a dog"}]
    found = interleaved(tokenizer, parts, 99)
    expected = ["the", "sky", "IMAGE", "the", "cat", "</s>", "IMAGE", "a", "dog", "</s>"]
    assert words(tokenizer, found.tokens) == expected
    wanted = [token for token in found.labels if token != IGNORED]
    assert words(tokenizer, wanted) == ["the", "cat", "</s>", "a", "dog", "</s>"]
    assert found.images == ["a", "b"]


def test_a_truncated_text_has_no_end_and_an_image_beyond_it_is_left_out(tokenizer: Any) -> None:
    parts = [{"image": "a"}, {"text": "the cat and so dog"}, {"image": "b"}, {"text": "sky"}]
    found = interleaved(tokenizer, parts, 4)
    assert words(tokenizer, found.tokens) == ["IMAGE", "the", "cat", "and"]
    assert found.images == ["a"]


def test_a_text_cannot_stand_for_an_image(tokenizer: Any) -> None:
    found = interleaved(tokenizer, described("a", "IMAGE <visual> -1"), 99)
    assert found.tokens.count(IMAGE) == 1


def test_a_question_has_no_end(tokenizer: Any) -> None:
    shots = [*described("a", "the cat"), {"image": "b"}]
    assert words(tokenizer, question(tokenizer, shots).tokens) == ["IMAGE", "the", "cat", "</s>", "IMAGE"]


def test_pieces_begin_with_an_image_and_lose_nothing() -> None:
    parts: list[Any] = [{"text": "first"}]
    for number in range(5):
        parts += [{"image": str(number)}, {"text": f"about {number}"}, {"text": "and more"}]
    found = pieces(parts, 2)
    assert [part for piece in found for part in piece] == parts
    assert [sum("image" in part for part in piece) for piece in found] == [2, 2, 1]
    assert all("image" in piece[0] for piece in found[1:])
