"""The two views of one model: what they have in common, and the items that show the directions of the first one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.inspection.findings import item_of

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.geometry import Leakage
    from nearfar.inspection.records import Item, PlaceOf
    from nearfar.inspection.sample import Sample

#: Number of directions, and of items at each end of one.
DIRECTIONS, SHOWN = 5, 6
#: Maximum number of items for the estimate of what the views have in common.
MOST_ITEMS = 1_000


class Direction(NamedTuple):
    """A principal component of a view, and the items at its two ends, the outermost first.

    Args:
        share: Its share of the variance.
        high, low: Items with the largest and the smallest coordinates.
        files: The input of each of `high`, then of `low`: texts or files.
    """

    share: float
    high: tuple[Item, ...]
    low: tuple[Item, ...]
    files: tuple[Any, ...]


@dataclass(frozen=True)
class ComparedViews:
    """What is found about two views of one model.

    Args:
        leakage: What the second view knows of the first, and the first of the second; None for few items.
        directions: Those of the first view, by their share of its variance.
        medium: What the items are: `text`, `image` or `audio`.
        items: Number of items for `leakage`.
    """

    leakage: Leakage | None
    directions: tuple[Direction, ...]
    medium: str
    items: int

    def with_places(self, place_of: PlaceOf) -> ComparedViews:
        """The same, with the place of each item."""

        def placed(items: tuple[Item, ...]) -> tuple[Item, ...]:
            return tuple(item._replace(place=place_of(item.kind, item.origin)) for item in items)

        found = (each._replace(high=placed(each.high), low=placed(each.low)) for each in self.directions)
        return replace(self, directions=tuple(found))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "leakage": None if self.leakage is None else asdict(self.leakage),
            "items": self.items,
            "directions": [
                {
                    "share": each.share,
                    **{end: [item.as_dict() for item in getattr(each, end)] for end in ("high", "low")},
                }
                for each in self.directions
            ],
        }


def comparison_of_views(
    sample: Sample, first: Float[np.ndarray, "n d"], second: Float[np.ndarray, "n k"], seed: int
) -> ComparedViews:
    """Compare two views by the vectors of the items of the first side.

    Args:
        sample: The items.
        first, second: Their vectors in the two views.
        seed: Random seed of the items that are used, where there are many.
    """
    import numpy as np

    from nearfar import geometry

    chosen = np.sort(np.random.default_rng(seed).permutation(len(first))[:MOST_ITEMS])
    enough = len(chosen) >= geometry.LEAST_ITEMS
    # Which space is predicted: the second (common) one from the first (salient) one.
    leakage = geometry.leakage(second[chosen], first[chosen], seed=seed) if enough else None
    centred = np.asarray(first, dtype=np.float64) - first.mean(0, dtype=np.float64)
    _, scales, axes = np.linalg.svd(centred, full_matrices=False)
    variance, directions = float((scales**2).sum()), []
    for axis, scale in zip(axes[:DIRECTIONS], scales, strict=False):
        if not scale**2 > 1e-12 * max(variance, 1e-12):
            break
        # The sign of a component is arbitrary: its longer tail is its high end.
        places = centred @ axis
        order = np.argsort(-places if abs(places.max()) >= abs(places.min()) else places, kind="stable")
        most = min(SHOWN, len(order) // 2)
        ends = order[:most].tolist(), order[::-1][:most].tolist()
        high, low = (tuple(item_of(sample, 0, item) for item in end) for end in ends)
        files = tuple(sample.sides[0].items[item] for end in ends for item in end)
        directions.append(Direction(float(scale**2 / variance), high, low, files))
    return ComparedViews(leakage, tuple(directions), sample.sides[0].medium, len(chosen))
