"""The gap between two sides, where row i of one belongs to row i of the other: images and texts, for example.

Source: Fahim, Murphy, Fyshe 2024, It's Not a Modality Gap; Liang et al. 2022, Mind the Gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.geometry._rows import MAX_PAIRS, groups, mean, paired_vectors, pieces, unit, vectors
from nearfar.geometry.space import alignment, cone, mean_cosine, uniformity

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.geometry._rows import Vectors

#: Maximum number of pairs for the linear classifier, whose accuracy depends on their number.
MOST_PAIRS = 10_000
#: Fraction of the pairs that it is evaluated on.
SCORED = 0.2
#: It is trained on four and evaluated on one.
LEAST_PAIRS = 5


@dataclass(frozen=True)
class Gap:
    """The measures of the gap between two sides a and b.

    Args:
        centroid_distance: See `centroid_distance`.
        linear_separability: See `linear_separability`.
        mean_cosine_a, mean_cosine_b: Of the vectors of each side among themselves.
        cone_a, cone_b: Of the vectors of each side with their mean direction.
        uniformity_a, uniformity_b: Of each side; higher is more uniform.
        cross_uniformity: See `cross_uniformity`.
        alignment: Mean squared distance of the two vectors of a pair.
        positive_cosine: Mean cosine of the two vectors of a pair; 1 - alignment / 2.
        pairs: Number of pairs.
    """

    centroid_distance: float
    linear_separability: float
    mean_cosine_a: float
    mean_cosine_b: float
    cone_a: float
    cone_b: float
    uniformity_a: float
    uniformity_b: float
    cross_uniformity: float
    alignment: float
    positive_cosine: float
    pairs: int


def gap(a: Float[Vectors, "n d"], b: Float[Vectors, "n d"], seed: int = 0) -> Gap:
    """All measures of the gap between two sides.

    Args:
        a, b: Row i of one belongs to row i of the other; at least 5 of them.
        seed: Random seed of the split of the linear classifier, and of samples where there are too many pairs.
    """
    a, b = paired_vectors(a, b, LEAST_PAIRS)
    apart = alignment(a, b)
    return Gap(
        centroid_distance=centroid_distance(a, b),
        linear_separability=linear_separability(a, b, seed=seed),
        mean_cosine_a=mean_cosine(a),
        mean_cosine_b=mean_cosine(b),
        cone_a=cone(a),
        cone_b=cone(b),
        uniformity_a=uniformity(a, seed=seed),
        uniformity_b=uniformity(b, seed=seed),
        cross_uniformity=cross_uniformity(a, b, seed=seed),
        alignment=apart,
        positive_cosine=1 - apart / 2,
        pairs=len(a),
    )


@torch.no_grad()
def centroid_distance(a: Float[Vectors, "n d"], b: Float[Vectors, "n d"]) -> float:
    """Length of the difference of the two means, from 0 to 2. The sides may be of different sizes.

    Subtracting the mean of each side makes it 0 without improving anything: read it together with
    `linear_separability`.
    """
    one, other = mean(vectors(a, "a")).cpu(), mean(vectors(b, "b")).cpu()
    if one.shape != other.shape:
        raise InputError(f"a and b must have the same width, got {len(one)} and {len(other)}")
    return float((one - other).norm())


@torch.no_grad()
def linear_separability(
    a: Float[Vectors, "n d"], b: Float[Vectors, "n d"], seed: int = 0, max_pairs: int = MOST_PAIRS
) -> float:
    """Accuracy of a logistic regression that classifies vectors as a or b: 0.5 by chance, 1 with a gap.

    It is trained on 80% of the pairs and evaluated on the others; both vectors of a pair are on one side of the split.
    It increases with the dimension of the vectors and the number of pairs: compare at equal ones, from 300 pairs on.

    Args:
        a, b: Row i of one belongs to row i of the other; at least 5 of them.
        seed: Random seed of the split.
        max_pairs: Maximum number of pairs; more are sampled.
    """
    # Imported here, because the measures above do not need them.
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    a, b = paired_vectors(a, b, LEAST_PAIRS)
    order = np.random.default_rng(seed).permutation(len(a))[:max_pairs]
    cut = len(order) - max(1, round(SCORED * len(order)))

    def rows(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = torch.from_numpy(numbers)
        both = torch.cat([unit(side[chosen.to(side.device)]) for side in (a, b)]).double()
        return both.cpu().numpy(), np.repeat([0, 1], len(numbers))

    classifier = LogisticRegression(max_iter=1_000).fit(*rows(order[:cut]))
    return float(classifier.score(*rows(order[cut:])))


@torch.no_grad()
def cross_uniformity(
    a: Float[Vectors, "n d"],
    b: Float[Vectors, "n d"],
    t: float = 2.0,
    max_pairs: int | None = MAX_PAIRS,
    seed: int = 0,
) -> float:
    """-log of the mean of exp(-t |a_i - b_j|^2) over i != j: how far negatives on the two sides are from each other.

    2 t where all are orthogonal; for a set with itself it equals `uniformity`. Up to 4 t where the sides are opposite
    each other, so a higher value is not always a smaller gap.

    Args:
        a, b: Row i of one belongs to row i of the other; these pairs do not count. At least two.
        t: The kernel's sharpness.
        max_pairs, seed: As for `uniformity`.
    """
    a, b = paired_vectors(a, b, least=2)
    n = len(a)
    size = n if max_pairs is None or n * (n - 1) <= max_pairs else max(2, max_pairs // n + 1)
    total, pairs = a.new_zeros((), dtype=torch.float64), 0
    for rows in groups(n, size, seed):
        total += _sum_of_kernel(a, b, rows, t)
        pairs += len(rows) * (len(rows) - 1)
    return float(-(total / pairs).log()) + 0.0


def _sum_of_kernel(a: Tensor, b: Tensor, rows: Tensor, t: float) -> Tensor:
    """Sum of exp(-t |a_i - b_j|^2) over i != j among some rows."""
    total = a.new_zeros((), dtype=torch.float64)
    parts = pieces(rows)
    for i, some in enumerate(parts):
        these = unit(a[some.to(a.device)])
        for j, others in enumerate(parts):
            near = (these @ unit(b[others.to(b.device)]).to(these).T).sub_(1).mul_(2 * t).exp_()
            if i == j:
                near.fill_diagonal_(0)
            total += near.sum(dtype=torch.float64)
    return total
