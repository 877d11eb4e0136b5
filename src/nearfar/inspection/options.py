"""The options of an inspection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from nearfar.inspection.flat import check_map
from nearfar.settings import Count, Range, Whole, check_ranges


@dataclass(frozen=True)
class InspectOptions:
    """How data is read and inspected; the same for both models of a comparison.

    Args:
        columns: Canonical column name -> name in the file.
        split: Split to read: of rows `train` when None, of a BEIR-format dataset `test`.
        skip_broken: Skip rows whose image or audio file is broken.
        rows: Maximum number of rows; larger datasets are sampled. Time for neighbours is quadratic in it.
        near_duplicate: Minimum cosine of near-duplicates, in (0, 1].
        layers: Depths to measure at; all when None, none where empty.
        dims: Widths to measure at; powers of two when None, none where empty.
        map: `pca` or `tsne`.
        batch_size: Number of items in one forward pass.
        seed: Random seed of every sample.

    Raises:
        InputError: a value out of its range, or an unknown map.
    """

    columns: Mapping[str, str] | None = None
    split: str | None = None
    skip_broken: bool = False
    rows: Annotated[int, Range(least=3)] = 10_000
    near_duplicate: Annotated[float, Range(above=0, most=1)] = 0.95
    layers: Sequence[int] | None = None
    dims: Sequence[int] | None = None
    map: str = "pca"
    batch_size: Count = 64
    seed: Whole = 0

    def __post_init__(self) -> None:
        check_map(self.map)
        check_ranges(self)
