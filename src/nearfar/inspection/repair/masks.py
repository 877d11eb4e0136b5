"""Documents that take the place of false negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nearfar.data.same_text import plain_text
from nearfar.errors import InputError
from nearfar.inspection.repair.faults import Fault

__all__ = ["Masks"]

# Draws after which no document to mask with is expected.
_TRIES = 1_000


class Masks:
    """Draws documents in place of false negatives: positives of other anchors."""

    def __init__(self, table: Sequence[Mapping[str, Any]], faults: Sequence[Fault], seed: int) -> None:
        self._table, self._rng = table, np.random.default_rng(seed)
        self._matching: dict[str, set[str]] = {}
        for row in table:
            if "anchor" in row:
                self._matching.setdefault(plain_text(row["anchor"]), set()).add(plain_text(row["positive"]))
        # What was found to match an anchor must not be drawn for it again, in this row or another.
        for fault in faults:
            if fault.name == "false_negatives":
                row = table[fault.row]
                self._matching[plain_text(row["anchor"])].add(plain_text(row[str(fault.column)]))

    def draw(self, row: Mapping[str, Any]) -> str:
        """A document that does not match the row's anchor and is not in the row.

        Raises:
            InputError: None was found.
        """
        refused = self._matching[plain_text(row["anchor"])] | {plain_text(text) for text in row.values()}
        for _ in range(_TRIES):
            text = self._table[int(self._rng.integers(len(self._table)))]["positive"]
            if plain_text(text) not in refused:
                return text
        remedy = "drop them: --fix-action false_negatives=drop"
        raise InputError("too few different positives to mask false negatives", field="--fix", remedy=remedy)
