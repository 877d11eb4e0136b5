"""The file and line of each row, to name rows in reports."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class Places:
    """The places of rows.

    Args:
        files: The files, in order; one name for a dataset in memory or from the hub.
        starts: For each file, the number of rows before it.
        units: For each file, what `numbers` counts: `line` or `row`.
        numbers: For each row, the line on which it begins, or its number; from 1.
    """

    files: tuple[str, ...]
    starts: tuple[int, ...]
    units: tuple[str, ...]
    numbers: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, row: int) -> dict[str, Any]:
        """The place of a row (from 0): `{"file", "line"}` or `{"file", "row"}`."""
        number = bisect_right(self.starts, row) - 1
        return {"file": self.files[number], self.units[number]: int(self.numbers[row])}


def place_name(place: Mapping[str, Any]) -> str:
    """A place as text: `pairs.jsonl:17`, `pairs.parquet row 17`, or an id."""
    if "id" in place:
        return f"{place['kind']} {place['id']}"
    name = Path(str(place["file"])).name
    return f"{name}:{place['line']}" if "line" in place else f"{name} row {place['row']}"


def places(source: str | Path | Dataset, split: str = "train") -> Places:
    """The places of the rows that `nearfar.data.load` reads from the same source, in their order.

    The files of a folder of images or audio without labels are its rows. Other files are
    read again, so this is for code that reports single rows.

    Args:
        source: As for `load`.
        split: As for `load`.
    """
    import numpy as np

    from nearfar.data.media_folders import unlabelled_files
    from nearfar.data.sources import open_sources

    if (found := unlabelled_files(source)) is not None:
        return Places((str(source),), (0,), ("row",), np.arange(1, len(found[1]) + 1))
    files: list[str] = []
    starts: list[int] = []
    units: list[str] = []
    parts: list[np.ndarray] = []
    rows = 0
    for opened in open_sources(source, split)[0]:
        files.append(opened.file)
        starts.append(rows)
        units.append("line" if opened.counts == "lines" else "row")
        for block in opened.blocks(list(opened.names[:1])):
            parts.append(np.asarray(block.places, dtype=np.int64))
            rows += len(block.places)
    return Places(tuple(files), tuple(starts), tuple(units), np.concatenate(parts))
