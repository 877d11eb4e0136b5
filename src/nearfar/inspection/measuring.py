"""From a sample and its vectors to figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.inspection.measures import MEASURES, NEIGHBOURS

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

    from nearfar.inspection.neighbours import Neighbours
    from nearfar.inspection.sample import Sample


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of one space.

    Args:
        measures: Each measure by name; None where the sample does not allow it. See `MEASURES`.
        per_item: For each measure that is a mean, its value for each anchor, in the sample's order.
        similarities: Cosines by the name of the pairs.
        scored: Cosines of the pairs with human scores, in the sample's order.
        spectrum: The share of variance of each principal component; empty where there is no variance.
        neighbours: Of each item of the first side among the last.
        occurrence: How often each item of the last side is among the `NEIGHBOURS` nearest.
        notes: Why a measure is missing.
    """

    measures: dict[str, float | None]
    per_item: dict[str, Float[np.ndarray, " a"]]
    similarities: dict[str, Float[np.ndarray, " c"]]
    scored: Float[np.ndarray, " c"] | None
    spectrum: Float[np.ndarray, " d"]
    neighbours: Neighbours
    occurrence: Int[np.ndarray, " m"]
    notes: tuple[str, ...] = field(default=())


def measure(sample: Sample, vectors: tuple[Float[np.ndarray, "n d"], ...], seed: int = 0) -> Measured:
    """Measure one space.

    `nearfar.geometry` has the measures of the space itself, and names their papers. Cosines of positive and of random
    pairs are those of Wang & Liu 2021; `separation` is an area under a ROC curve; `false_negative_share` is explained
    in `neighbours`.

    Args:
        sample: What is inspected.
        vectors: Unit vectors of each side's items.
        seed: Random seed of the pairs that `uniformity` uses where there are too many.
    """
    import torch

    from nearfar import geometry

    per_item, similarities = _pairs(sample, vectors)
    means = {name: float(values.mean()) for name, values in per_item.items()}
    if "alignment" in per_item:
        anchors, partners = sample.positives.T
        means["alignment"] = geometry.alignment(vectors[0][anchors], vectors[-1][partners])
    if len(sample.negatives):
        means["negative_cosine"] = _mean_by_anchor(sample, _negative_cosines(sample, vectors))
    space, spectrum, notes = _space(union(sample, vectors), seed)
    if sample.labels is not None and len(set(sample.labels.tolist())) < len(sample.labels):
        space["tolerance"] = geometry.tolerance(torch.from_numpy(vectors[0]), torch.from_numpy(sample.labels))
    neighbours = _neighbours(sample, vectors)
    occurrence = geometry.k_occurrence(neighbours.nearest, len(vectors[-1]))
    space["hubness"] = geometry.hubness(occurrence)
    judged = ~neighbours.positive_cosine.isnan()
    if bool(judged.any()):
        name = "confused_share" if sample.by_label else "false_negative_share"
        per_item[name] = (neighbours.above[judged] > 0).double().numpy()
        means[name] = float(per_item[name].mean())
    scored = None
    if sample.scored is not None:
        pairs, scores = sample.scored
        scored = cosines(vectors, pairs)
        means |= _spearman(scored, scores)
    found = {**means, **space}
    measures = {name: found.get(name) for name in MEASURES}
    return Measured(measures, per_item, similarities, scored, spectrum, neighbours, occurrence.numpy(), notes)


def union(sample: Sample, vectors: tuple[Float[np.ndarray, "n d"], ...]) -> Float[np.ndarray, "n d"]:
    """The vectors of all items; of a text that is on both sides those of the first."""
    import numpy as np

    if len(vectors) == 1:
        return vectors[0]
    return np.concatenate([vectors[0], vectors[1][sample.only_on_second]])


def cosines(vectors: tuple[np.ndarray, ...], pairs: Int[np.ndarray, "c 2"]) -> Float[np.ndarray, " c"]:
    """The cosine of each pair: an item of the first side, and an item of the last."""
    import numpy as np

    return np.einsum("id,id->i", vectors[0][pairs[:, 0]], vectors[-1][pairs[:, 1]]).astype(float)


def _pairs(sample: Sample, vectors: tuple[np.ndarray, ...]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Values of measures for each anchor, and cosines by the name of the pairs."""
    import numpy as np

    per_item: dict[str, np.ndarray] = {}
    similarities: dict[str, np.ndarray] = {}
    negative = _negative_cosines(sample, vectors)
    counts = np.bincount(sample.negatives[:, 0], minlength=len(sample.anchors))
    if len(sample.positives):
        positive = cosines(vectors, sample.positives)
        if not sample.by_label:
            per_item["alignment"] = 2 - 2 * positive
        per_item["positive_cosine"] = positive
        per_item["separation"] = _separation(positive, negative, sample.negatives[:, 0])
        similarities["same label" if sample.by_label else "positive pairs"] = positive
    similarities |= {name: cosines(vectors, pairs) for name, pairs in sample.named_pairs.items()}
    if len(negative):
        similarities["different labels" if sample.by_label and len(sample.positives) else "random pairs"] = negative
        if counts.all():
            per_item["negative_cosine"] = _sums(sample, negative) / counts
    return per_item, similarities


def _negative_cosines(sample: Sample, vectors: tuple[np.ndarray, ...]) -> np.ndarray:
    import numpy as np

    numbers, items = sample.negatives.T
    return cosines(vectors, np.stack([sample.anchors[numbers], items], axis=1))


def _sums(sample: Sample, values: np.ndarray) -> np.ndarray:
    """Of a value for each negative, the sum for each anchor."""
    import numpy as np

    return np.bincount(sample.negatives[:, 0], weights=values, minlength=len(sample.anchors))


def _mean_by_anchor(sample: Sample, values: np.ndarray) -> float:
    """The mean over anchors of the mean over their negatives; anchors without negatives do not count."""
    import numpy as np

    counts = np.bincount(sample.negatives[:, 0], minlength=len(sample.anchors))
    there = counts > 0
    return float((_sums(sample, values)[there] / counts[there]).mean())


def _separation(positive: np.ndarray, negative: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """For each anchor the share of its negatives that are less similar than its positive; ties count half.

    Their mean is the area under the ROC curve, computed for each anchor by itself.

    Source: Hanley & McNeil 1982, The Meaning and Use of the Area under a ROC Curve.
    """
    import numpy as np

    less = (negative < positive[numbers]) + 0.5 * (negative == positive[numbers])
    wins = np.bincount(numbers, weights=less, minlength=len(positive))
    counts = np.bincount(numbers, minlength=len(positive))
    # An anchor without negatives gives no evidence: chance.
    return np.where(counts > 0, wins / np.maximum(counts, 1), 0.5)


def _space(vectors: Float[np.ndarray, "n d"], seed: int) -> tuple[dict[str, float], np.ndarray, tuple[str, ...]]:
    """Measures of a set of vectors, its spectrum, and notes."""
    import numpy as np
    import torch

    from nearfar import geometry

    x = torch.from_numpy(vectors)
    found = {
        "uniformity": geometry.uniformity(x, seed=seed),
        "mean_cosine": geometry.mean_cosine(x),
        "isotropy": geometry.isotropy(x),
        "effective_rank": geometry.effective_rank(x),
    }
    try:
        spectrum = geometry.spectrum(x).numpy()
        found["iso_score"] = geometry.iso_score(x)
    except InputError as error:
        return found, np.empty(0), (f"no spectrum and no IsoScore: {error.problem}",)
    return found, spectrum, ()


def _neighbours(sample: Sample, vectors: tuple[np.ndarray, ...]) -> Neighbours:
    import torch

    from nearfar.inspection.neighbours import find_neighbours
    from nearfar.inspection.pairs import pair_keys

    a = torch.from_numpy(vectors[0])
    if len(vectors) == 1:
        labels = None if sample.labels is None else torch.from_numpy(sample.labels)
        return find_neighbours(a, a, labels=labels, k=NEIGHBOURS)
    b = torch.from_numpy(vectors[1])
    positives, excluded = (pair_keys(pairs, len(b)) for pairs in (sample.positives, sample.excluded))
    return find_neighbours(a, b, positives=positives, excluded=excluded, k=NEIGHBOURS)


def _spearman(found: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    import numpy as np
    from scipy.stats import spearmanr

    if not np.ptp(found) or not np.ptp(scores):
        return {}
    return {"spearman": float(spearmanr(found, scores)[0])}  # pyright: ignore[reportArgumentType]
