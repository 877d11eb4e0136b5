"""Equal texts: case and white space are ignored."""

from __future__ import annotations

from nearfar.data.same_text import NumberedTexts, plain_text


def test_case_and_white_space_do_not_count() -> None:
    assert plain_text(" Two\n\tWORDS ") == "two words"
    assert plain_text("two, words") != plain_text("two words")


def test_equal_texts_share_a_number() -> None:
    texts = NumberedTexts()
    assert [texts.add(text) for text in ("Yes", "no", " yes ", "NO", "perhaps")] == [0, 1, 0, 1, 2]
    assert len(texts) == 3
    assert (texts.find("YES"), texts.find("never")) == (0, None)
