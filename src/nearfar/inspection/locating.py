"""Where the rows of an inspection are in their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.places import places
from nearfar.data.retrieval import Retrieval

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data.places import Places


class RowPlaces:
    """From rows and ids to places.

    Args:
        source: Where the data was read from, or the data itself.
        data: The data that was read.
        split: The split that was read.
    """

    def __init__(
        self, source: str | Path | Dataset | Retrieval, data: Dataset | Retrieval, split: str | None = None
    ) -> None:
        self._source = source if isinstance(source, (str, Path)) else "the dataset"
        self._places: Places | None = None
        #: Whether rows were skipped, so that a row is known by its number among the others.
        self.skipped = False
        if isinstance(data, Retrieval):
            return
        found = places(source if isinstance(source, (str, Path)) else data, split or "train")
        # Where rows were skipped, the places of all rows do not fit those that are left.
        self._places = found if len(found) == len(data) else None
        self.skipped = self._places is None

    def __call__(self, kind: str, origin: int | str) -> dict[str, Any]:
        """The place of a row, from 0, or of what has an id: `{"file", "line"}`, `{"file", "row"}`, `{"kind", "id"}`."""
        if isinstance(origin, str):
            return {"kind": kind, "id": origin}
        if self._places is None:
            return {"file": str(self._source), "row": origin + 1}
        return self._places.at(origin)
