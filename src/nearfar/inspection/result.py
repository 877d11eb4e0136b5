"""What an inspection found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.data.places import place_name

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.evaluation.intervals import Interval
    from nearfar.inspection.sizes import AtSize

#: Characters of a text that are shown.
SHOWN = 200
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Named(NamedTuple):
    """An item with where it stands.

    Args:
        place: `{"file", "line"}`, `{"file", "row"}`, or `{"kind", "id"}`.
        text: Its text, or its file's name; cut where it is long.
        label: Its label, where it has one.
    """

    place: dict[str, Any]
    text: str
    label: str | None = None

    @property
    def name(self) -> str:
        """Its place in words."""
        return place_name(self.place)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.place, "text": self.text, **({} if self.label is None else {"label": self.label})}


class Rival(NamedTuple):
    """Something unpaired that is more similar to an item than what belongs to it.

    Args:
        item: The item.
        partner: The most similar that belongs to it.
        cosine: Of these two.
        stranger: The most similar that does not.
        stranger_cosine: Of the item and the stranger.
        more: How many strangers are more similar than the partner.
    """

    item: Named
    partner: Named
    cosine: float
    stranger: Named
    stranger_cosine: float
    more: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "row": self.item.as_dict(),
            "partner": self.partner.as_dict(),
            "cosine": self.cosine,
            "stranger": self.stranger.as_dict(),
            "stranger_cosine": self.stranger_cosine,
            "strangers_nearer": self.more,
        }


class Couple(NamedTuple):
    """Two items that are nearly the same to a model."""

    first: Named
    second: Named
    cosine: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"first": self.first.as_dict(), "second": self.second.as_dict(), "cosine": self.cosine}


class Repeat(NamedTuple):
    """A row whose texts are those of an earlier one."""

    row: dict[str, Any]
    earlier: dict[str, Any]
    contradicts: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"row": self.row, "earlier": self.earlier, "contradicts": self.contradicts}


class Hub(NamedTuple):
    """An item that is among the nearest neighbours of many."""

    item: Named
    occurrence: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.item.as_dict(), "occurrence": self.occurrence}


class Point(NamedTuple):
    """An item on the map."""

    x: float
    y: float
    text: str
    group: str
    side: str


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a space looks like, and what was found in the data on the way.

    Args:
        model: What was looked at, as it was named.
        schema: What the data is.
        total: Rows, or queries, that there are.
        looked_at: How many of them were looked at; all else is of these.
        items: Different items of each side.
        dims: The width of the vectors.
        seed: What decided everything drawn.
        measures: See `nearfar.inspection.MEASURES`; None where the data does not allow a measure.
        per_item: Values behind those measures that are means, for paired intervals.
        groups: The anchor of each value, where an anchor has several.
        similarities: Cosines by what the couples are.
        scored: (cosines, people's scores), where there are scores.
        spectrum: The share of variance of each principal component.
        false_negatives: Rows with something unpaired that is nearer, the most similar of these first.
        false_negative_rows: How many there are.
        near_duplicates: Of different items, the most similar first.
        near_duplicate_count: How many couples there are.
        threshold: The cosine from which two items are near-duplicates.
        repeats, repeated, contradictions: Rows whose texts are those of an earlier row, in all data: named, counted,
            and how many of them bear another label or score.
        hubs: The items that are among the nearest of most.
        gap: See `nearfar.geometry.Gap`; None where both sides are one modality.
        layers, sizes: The same measures after each layer, and of each width, on `size_rows` rows.
        size_rows: See there.
        points: The map; of a sample where there are many items.
        map: How it was made.
        notes: What a reader of the figures must know.
        seconds: What it took.
        against: The same of another model.
        differences: The other model's measure minus this one's, with paired intervals over items.
    """

    model: str
    schema: str
    total: int
    looked_at: int
    items: dict[str, int]
    dims: int
    seed: int
    measures: dict[str, float | None]
    per_item: dict[str, Float[np.ndarray, " a"]]
    groups: Any
    similarities: dict[str, Float[np.ndarray, " c"]]
    scored: tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]] | None
    spectrum: list[float]
    false_negatives: list[Rival]
    false_negative_rows: int
    near_duplicates: list[Couple]
    near_duplicate_count: int
    threshold: float
    repeats: list[Repeat]
    repeated: int
    contradictions: int
    hubs: list[Hub]
    gap: dict[str, float] | None
    layers: list[AtSize]
    sizes: list[AtSize]
    size_rows: int
    points: list[Point]
    map: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    against: Inspection | None = None
    differences: dict[str, Interval] = field(default_factory=dict)

    @property
    def sampled(self) -> bool:
        """Whether not all rows were looked at."""
        return self.looked_at < self.total

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        found = {
            "model": self.model,
            "schema": self.schema,
            "rows": {"total": self.total, "looked_at": self.looked_at, "sampled": self.sampled, "seed": self.seed},
            "items": self.items,
            "dims": self.dims,
            "measures": self.measures,
            "similarities": {name: summary(values) for name, values in self.similarities.items()},
            "spectrum": self.spectrum,
            "gap": self.gap,
            "false_negatives": {
                "rows": self.false_negative_rows,
                "named": [each.as_dict() for each in self.false_negatives],
            },
            "near_duplicates": {
                "threshold": self.threshold,
                "couples": self.near_duplicate_count,
                "named": [each.as_dict() for each in self.near_duplicates],
            },
            "repeated_rows": {
                "rows": self.repeated,
                "contradictions": self.contradictions,
                "named": [each.as_dict() for each in self.repeats],
            },
            "hubs": [each.as_dict() for each in self.hubs],
            "by_layer": {"rows": self.size_rows, "sizes": [each.as_dict() for each in self.layers]},
            "by_dims": {"rows": self.size_rows, "sizes": [each.as_dict() for each in self.sizes]},
            "map": {"method": self.map, "points": [list(point) for point in self.points]},
            "notes": list(self.notes),
            "seconds": self.seconds,
        }
        if self.against is not None:
            found["against"] = self.against.as_dict()
            found["differences"] = {
                name: {"mean": each.mean, "interval_95": [each.low, each.high]}
                for name, each in self.differences.items()
            }
        return found


def summary(values: Float[np.ndarray, " c"]) -> dict[str, float]:
    """A distribution in a few figures."""
    import numpy as np

    quantiles = np.quantile(values, _QUANTILES)
    named = {f"p{round(100 * q)}": float(v) for q, v in zip(_QUANTILES, quantiles, strict=True)}
    return {"n": len(values), "mean": float(values.mean()), "sd": float(values.std()), **named}


def shown(text: str) -> str:
    """A text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
