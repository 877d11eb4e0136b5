"""Turns without a text are skipped and counted."""

from __future__ import annotations

import logging

import pyarrow as pa
import pytest

from nearfar.data._blocks import MISSING, Block, Source
from nearfar.data._empty_turns import EmptyTurns


def block(**columns: object) -> Block:
    return Block(list(columns), range(10, 13), columns.__getitem__)


def test_turns_in_rows_of_their_own() -> None:
    empty = EmptyTurns.of("turns", {"text": "words", "speaker": "who"})
    assert empty is not None
    kept = empty.removed(block(words=["a", " ", "c"], who=pa.array(["U", "S", "U"])))
    assert (kept.places, kept.column("words")) == ([10, 12], ["a", "c"])
    assert kept.column("who").to_pylist() == ["U", "U"]


def test_dialogues_lose_turns_and_are_removed_without_any(caplog: pytest.LogCaptureFixture) -> None:
    empty = EmptyTurns("dialogues", "turns")
    said, silent, wrong = {"text": "a"}, {"text": None}, "not a list"
    kept = empty.removed(block(turns=[[said, silent], [silent, {}], wrong]))
    assert kept.places == [10, 12]
    assert kept.column("turns") == [[said], wrong]
    with caplog.at_level(logging.WARNING, "nearfar"):
        empty.warn(Source("x.jsonl", [], lambda wanted: iter([])))
        empty.warn(Source("x.jsonl", [], lambda wanted: iter([])))
    assert len(caplog.messages) == 1
    assert "3 turns" in caplog.text
    assert "line 10, line 11" in caplog.text


def test_a_block_without_empty_turns_is_unchanged() -> None:
    full = block(text=["a", "b", MISSING])
    assert EmptyTurns("turns", "text").removed(full) is full
    assert EmptyTurns.of("pairs", {"anchor": "anchor"}) is None
