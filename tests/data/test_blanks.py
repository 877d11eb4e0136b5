"""Texts in which a reader sees nothing."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nearfar.data.blanks import INVISIBLE, blank, is_blank

NOTHING = ["", " \t\n", "\u00a0\u3000\u2028", "\u200b\ufeff\u2060", "\u0000\u0007", "\u0301"]
SOMETHING = ["a", " . ", "e\u0301", "字", "🙂", "\u200bx"]


@pytest.mark.parametrize("text", [*NOTHING, *SOMETHING])
def test_both_ways_to_look_agree(text: str) -> None:
    assert is_blank(text) == (text in NOTHING)
    (found,) = pc.match_substring_regex(pa.array([text]), INVISIBLE).to_pylist()  # pyright: ignore
    assert found == (text in NOTHING)


def test_three_kinds_of_nothing_are_three_problems() -> None:
    assert len({blank(text) for text in ("", "  ", "\u200b")}) == 3
