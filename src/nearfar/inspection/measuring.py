"""What a model makes of the material, in figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

    from nearfar.inspection.material import Material
    from nearfar.inspection.neighbours import Neighbours

#: Neighbours of the k-occurrence, as in the paper on hubs.
K = 10


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of one space.

    Args:
        measures: Each measure by name; None where the material does not allow it. See `MEASURES`.
        per_item: Under the name of a measure that is a mean: a value for each anchor, in the material's order.
        similarities: Cosines by what the couples are.
        scored: Cosines of the couples that people scored, in the material's order.
        spectrum: The share of variance of each principal component; empty where there is no variance.
        neighbours: Of each item of the first side among the last.
        occurrence: How often each item of the last side is among the `K` nearest.
    """

    measures: dict[str, float | None]
    per_item: dict[str, Float[np.ndarray, " a"]]
    similarities: dict[str, Float[np.ndarray, " c"]]
    scored: Float[np.ndarray, " c"] | None
    spectrum: Float[np.ndarray, " d"]
    neighbours: Neighbours
    occurrence: Int[np.ndarray, " m"]
    notes: tuple[str, ...] = field(default=())


def measure(material: Material, vectors: tuple[Float[np.ndarray, "n d"], ...], seed: int = 0) -> Measured:
    """Measure one space.

    `nearfar.geometry` has the measures of the space itself, and names their papers. Cosines of pairs and of strangers
    are those of Wang & Liu 2021; `separation` is an area under a ROC curve; what `false_negative_share` counts is said
    in `neighbours`.

    Args:
        material: What is looked at.
        vectors: Unit vectors of each side's items.
        seed: Decides which pairs `uniformity` looks at where there are too many.
    """
    import numpy as np
    import torch

    from nearfar import geometry
    from nearfar.inspection.material import keys
    from nearfar.inspection.neighbours import walk

    sides = tuple(torch.from_numpy(part) for part in vectors)
    a, b = sides[0], sides[-1]
    together = torch.from_numpy(union(material, vectors))
    labels = None if material.labels is None else torch.from_numpy(material.labels)
    notes: list[str] = []
    measures: dict[str, float | None] = dict.fromkeys(MEASURES)
    positive, negative, similarities = _similarities(material, vectors)
    per_item: dict[str, np.ndarray] = {}
    if positive is not None:
        if material.labels is None or len(sides) == 2:
            per_item["alignment"] = 2 - 2 * positive
            measures["alignment"] = geometry.alignment(vectors[0][material.anchors], vectors[-1][material.partners])
        per_item["positive_cosine"] = positive
        per_item["separation"] = _separation(positive, negative)
    if np.isfinite(negative).any():
        there = np.isfinite(negative).any(1)
        measures["negative_cosine"] = float(np.nanmean(negative[there], axis=1).mean())
        if there.all():
            per_item["negative_cosine"] = np.nanmean(negative, axis=1)
    for name in ("positive_cosine", "separation"):
        if name in per_item:
            measures[name] = float(per_item[name].mean())
    measures["uniformity"] = geometry.uniformity(together, seed=seed)
    if labels is not None and len(labels) > len(labels.unique()):
        measures["tolerance"] = geometry.tolerance(a, labels)
    measures["mean_cosine"] = geometry.mean_cosine(together)
    measures["isotropy"] = geometry.isotropy(together)
    measures["effective_rank"] = geometry.effective_rank(together)
    try:
        shares = geometry.spectrum(together).numpy()
        measures["iso_score"] = geometry.iso_score(together)
    except InputError as error:
        shares = np.empty(0)
        notes.append(f"no spectrum and no IsoScore: {error.problem}")
    found = walk(
        a,
        b,
        paired=None if len(sides) == 1 else keys(material.paired, len(b)),
        barred=None if len(sides) == 1 else keys(material.barred, len(b)),
        labels=labels if len(sides) == 1 else None,
        k=K,
    )
    occurrence = geometry.k_occurrence(found.nearest, len(b))
    measures["hubness"] = geometry.hubness(occurrence)
    judged = ~found.own.isnan()
    if bool(judged.any()):
        worse = (found.above[judged] > 0).double().numpy()
        per_item["false_negative_share"] = worse
        measures["false_negative_share"] = float(worse.mean())
    scored = None
    if material.scored is not None:
        from scipy.stats import spearmanr

        couples, scores = material.scored
        scored = _cosines(vectors, couples)
        if np.ptp(scored) and np.ptp(scores):
            measures["spearman"] = float(spearmanr(scored, scores)[0])  # pyright: ignore[reportArgumentType]
    return Measured(measures, per_item, similarities, scored, shares, found, occurrence.numpy(), tuple(notes))


def union(material: Material, vectors: tuple[Float[np.ndarray, "n d"], ...]) -> Float[np.ndarray, "n d"]:
    """The vectors of all items; of a text that stands on both sides those of the first."""
    import numpy as np

    if len(vectors) == 1:
        return vectors[0]
    return np.concatenate([vectors[0], vectors[1][own_of_second(material)]])


def own_of_second(material: Material) -> Int[np.ndarray, " m"]:
    """Items of the last of two sides that are not on the first as well."""
    import numpy as np

    first = {item for item in material.sides[0].items if isinstance(item, str)}
    items = material.sides[1].items
    if material.sides[0].medium != material.sides[1].medium:
        return np.arange(len(items))
    return np.asarray([j for j, item in enumerate(items) if item not in first], dtype=np.int64)


def _similarities(
    material: Material, vectors: tuple[np.ndarray, ...]
) -> tuple[np.ndarray | None, np.ndarray, dict[str, np.ndarray]]:
    """Cosines of anchors with partners, with strangers (NaN where there is none), and all by name."""
    import numpy as np

    a, b = vectors[0][material.anchors], vectors[-1]
    positive = None if material.partners is None else np.einsum("id,id->i", a, b[material.partners]).astype(float)
    columns = [np.einsum("id,id->i", a, b[column]) for column in material.strangers.T]
    negative = np.where(material.strangers < 0, np.nan, np.stack(columns, axis=1).astype(float))
    named: dict[str, np.ndarray] = {}
    if positive is not None:
        named["same label" if _by_label(material) else "pairs"] = positive
    named |= {name: _cosines(vectors, couples) for name, couples in material.similar.items()}
    if np.isfinite(negative).any():
        what = "random couples" if positive is None else "other labels" if _by_label(material) else "not paired"
        named[what] = negative[np.isfinite(negative)]
    return positive, negative, named


def _by_label(material: Material) -> bool:
    return material.labels is not None and len(material.sides) == 1


def _cosines(vectors: tuple[np.ndarray, ...], couples: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.einsum("id,id->i", vectors[0][couples[:, 0]], vectors[-1][couples[:, 1]]).astype(float)


def _separation(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """For each anchor the share of its strangers that are less similar than its partner, half of those as similar.

    Their mean is the area under the ROC curve where each anchor is judged by itself.

    Source: Hanley & McNeil 1982, The Meaning and Use of the Area under a ROC Curve.
    """
    import numpy as np

    there = np.isfinite(negative)
    less = np.where(there, (negative < positive[:, None]) + 0.5 * (negative == positive[:, None]), 0.0)
    # Who has no stranger says as much as a coin.
    return np.where(there.any(1), less.sum(1) / np.maximum(there.sum(1), 1), 0.5)


#: Each measure: its name in words, which way is better (+1, -1, or 0 where it depends), and what it says.
MEASURES: dict[str, tuple[str, int, str]] = {
    "alignment": ("alignment", -1, "mean squared distance of the two sides of a pair; 0 where they coincide"),
    "uniformity": ("uniformity", 0, "how evenly the sphere is filled: 0 one point, about 4 evenly"),
    "tolerance": ("tolerance", 0, "mean cosine of items that share a label"),
    "positive_cosine": ("cosine of what belongs together", 0, "mean over pairs, or over couples of one label"),
    "negative_cosine": ("cosine of strangers", 0, "mean over random items that do not belong together"),
    "separation": ("separation", 1, "how often a pair is more similar than a random stranger; 0.5 by chance"),
    "false_negative_share": (
        "rows with a nearer stranger",
        -1,
        "share of rows with something unpaired that is more similar than what belongs to them",
    ),
    "spearman": ("Spearman's correlation", 1, "of cosines with people's scores"),
    "mean_cosine": ("mean cosine", 0, "of any two items; 0 where directions are spread evenly"),
    "isotropy": ("isotropy", 0, "1 where no direction is preferred, 0 in a narrow cone"),
    "iso_score": ("IsoScore", 0, "1 where all directions share the variance, 0 where one has it all"),
    "effective_rank": ("effective rank", 0, "how many directions are used"),
    "hubness": ("hubness", -1, f"skewness of how often an item is among the {K} nearest; above 1: there are hubs"),
}
