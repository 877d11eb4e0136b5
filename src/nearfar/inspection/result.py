"""The result of an inspection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nearfar.inspection.records import with_places

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

    from nearfar.evaluation.intervals import Interval
    from nearfar.inspection.records import Confusion, FalseNegative, Hub, NearDuplicate, PlaceOf, Point, Repeat
    from nearfar.inspection.sizes import AtSize
    from nearfar.inspection.views import ComparedViews

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Inspection:
    """The measures of an embedding space, and the findings in the data.

    Args:
        model: The name of the model, as it was given.
        schema: The schema of the data.
        total: Number of rows, or queries, in the data.
        looked_at: Number of rows that were used for all results, except those about repeated rows.
        items: Number of different items of each side.
        dims: The width of the vectors.
        seed: The random seed of all samples.
        measures: See `nearfar.inspection.MEASURES`; None where the data does not allow a measure.
        per_item: The values of which some measures are the mean, for paired intervals.
        groups: The anchor of each value, where an anchor has several.
        similarities: Cosines by the name of the pairs.
        scored: (cosines, human scores), where there are scores.
        spectrum: The share of variance of each principal component.
        false_negatives: Candidates for false negatives; those with the most similar negative first.
            None of labelled rows: rows of different labels are negatives.
        false_negative_rows: Number of rows with a non-matching item ranked above their positive.
        likely_rows: How many of them have an item that duplicates, labels or all models say matches.
        models: Number of models that were asked.
        confusions: Of labelled rows: pairs of labels whose rows are closest to each other, the most frequent first.
        confused_rows: Number of rows that are closer to a row of another label than to any of their own.
        near_duplicates: Different items with nearly equal vectors, the most similar first.
        near_duplicate_count: Number of such pairs.
        threshold: The minimum cosine of near-duplicates.
        hubs: The items that are among the nearest neighbours of most others.
        gap: See `nearfar.geometry.Gap`; None where both sides are one modality and one tower.
        layers: The same measures after each layer, on `size_rows` rows.
        sizes: The same measures at each width, on `size_rows` rows.
        size_rows: Number of rows for `layers` and `sizes`.
        points: The map; of a sample where there are many items.
        map: How the map was made.
        repeats: Rows with the same texts as an earlier row, among all rows; contradictions first.
        repeated: Number of such rows.
        contradictions: How many of them have another label or score.
        notes: Notes for readers of the results.
        seconds: Time that the inspection took.
        against: The inspection of another model on the same sample.
        differences: The other model's measures minus this one's, with paired intervals over items.
        views: What the two views of one model have in common, if they are what is compared.
        prompts: What the model put before the texts of each side; of sides without a prompt, nothing.
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
    groups: Int[np.ndarray, " a"] | None
    similarities: dict[str, Float[np.ndarray, " c"]]
    scored: tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]] | None
    spectrum: list[float]
    false_negatives: list[FalseNegative]
    false_negative_rows: int
    confusions: list[Confusion]
    confused_rows: int
    near_duplicates: list[NearDuplicate]
    near_duplicate_count: int
    threshold: float
    hubs: list[Hub]
    gap: dict[str, float] | None
    layers: list[AtSize]
    sizes: list[AtSize]
    size_rows: int
    points: list[Point]
    map: str
    repeats: list[Repeat] = field(default_factory=list)
    repeated: int = 0
    contradictions: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    likely_rows: int = 0
    models: int = 1
    against: Inspection | None = None
    differences: dict[str, Interval] = field(default_factory=dict)
    views: ComparedViews | None = None
    prompts: dict[str, str] = field(default_factory=dict)

    @property
    def sampled(self) -> bool:
        """Whether only a sample of the rows was used."""
        return self.looked_at < self.total

    def with_places(self, place_of: PlaceOf) -> Inspection:
        """The same, with the place of each item that is named."""
        return replace(
            self,
            false_negatives=[with_places(each, place_of) for each in self.false_negatives],
            confusions=[
                each._replace(examples=tuple(with_places(example, place_of) for example in each.examples))
                for each in self.confusions
            ],
            near_duplicates=[with_places(each, place_of) for each in self.near_duplicates],
            hubs=[with_places(each, place_of) for each in self.hubs],
        )

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        found = {
            "model": self.model,
            **({"prompts": self.prompts} if self.prompts else {}),
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
                "likely_rows": self.likely_rows,
                "models": self.models,
                "named": [each.as_dict() for each in self.false_negatives],
            },
            "confused_labels": {
                "rows": self.confused_rows,
                "pairs": [each.as_dict() for each in self.confusions],
            },
            "near_duplicates": {
                "threshold": self.threshold,
                "pairs": self.near_duplicate_count,
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
        if self.views is not None:
            found["views"] = self.views.as_dict()
        return found


def summary(values: Float[np.ndarray, " c"]) -> dict[str, float]:
    """The size, mean, standard deviation and quantiles of a distribution."""
    import numpy as np

    quantiles = np.quantile(values, _QUANTILES)
    named = {f"p{round(100 * q)}": float(v) for q, v in zip(_QUANTILES, quantiles, strict=True)}
    return {"n": len(values), "mean": float(values.mean()), "sd": float(values.std()), **named}
