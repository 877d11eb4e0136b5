"""Turns of dialogues without a text, removed if the user asks for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from nearfar.data._blocks import Block, Source
from nearfar.data.blanks import is_blank

#: Number of turns that the warning names.
_NAMED = 3
REMEDY = "fill it, or skip turns without a text with --skip-broken"


class EmptyTurns:
    """Removes turns without a text from blocks of rows, before these are checked, and counts them.

    Args:
        schema: `dialogues`, whose rows lose turns, and are removed if no turn remains; or `turns`, where each row is a
            turn; both also with domains.
        field: The name in the file of the column with the turns, or with the text.
    """

    def __init__(self, schema: str, field: str) -> None:
        self.schema, self.field, self.count = schema, field, 0
        self.places: list[int] = []

    @classmethod
    def of(cls, schema: str, names: dict[str, str]) -> EmptyTurns | None:
        """For a schema and its columns (canonical name -> name in the file); None if the schema has no turns."""
        column = {"dialogues": "turns", "turns": "text"}.get(schema.removeprefix("domain "))
        return None if column is None else cls(schema, names[column])

    def removed(self, block: Block) -> Block:
        """The block without them."""
        values = block.column(self.field)
        listed: list[Any] = values.to_pylist() if isinstance(values, pa.Array) else list(values)
        before = self.count
        if self.schema.endswith("turns"):
            kept = [row for row, text in enumerate(listed) if not self._empty(text, block.places[row])]
        else:
            listed = [self._with_text(turns, place) for turns, place in zip(listed, block.places, strict=True)]
            kept = [row for row, turns in enumerate(listed) if turns is not _NONE_LEFT]
        if self.count == before:
            return block

        def column(name: str) -> Any:
            if name == self.field:
                return [listed[row] for row in kept]
            others = block.column(name)
            return others.take(pa.array(kept, pa.int64())) if isinstance(others, pa.Array) else _at(others, kept)

        return Block(block.names, _at(block.places, kept), column)

    def warn(self, source: Source) -> None:
        """Log how many turns were removed from a file, and the places of the first; then start counting again."""
        if self.count:
            unit = "line" if source.counts == "lines" else "row"
            places = list(dict.fromkeys(self.places))
            named = ", ".join(f"{unit} {place}" for place in places[:_NAMED]) + ", ..." * (len(places) > _NAMED)
            what = "1 turn" if self.count == 1 else f"{self.count:,} turns"
            logging.getLogger(__name__).warning("%s: skipped %s without a text: %s", source.file, what, named)
        self.count, self.places = 0, []

    def _with_text(self, turns: Any, place: int) -> Any:
        """The turns of a dialogue that have a text. A value that is not a list of turns is left to the checks."""
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            return turns
        kept = [turn for turn in turns if not self._empty(turn.get("text"), place)]
        return kept if kept or not turns else _NONE_LEFT

    def _empty(self, text: object, place: int) -> bool:
        empty = text is None or (isinstance(text, str) and is_blank(text))
        if empty:
            self.count += 1
            if len(self.places) <= _NAMED:
                self.places.append(place)
        return empty


_NONE_LEFT: list[Any] = []
"""Marks a dialogue of which no turn remains; compared by identity, so that no list of the file equals it."""


def _at(values: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    return [values[row] for row in rows]
