"""Measures of a space of vectors, and of the attention that a contrastive loss pays to its negatives.

    uniformity(x)               how evenly the vectors cover the sphere
    alignment(a, b)             how far apart the two vectors of a pair are
    tolerance(x, labels)        how close vectors of one label are
    mean_cosine(x)              how close any two vectors are
    cone(x)                     how close vectors are to their mean direction
    isotropy(x)                 whether all directions are used equally
    effective_rank(x)           how many directions are used
    explained_variance(x)       cumulative share of variance of the principal components
    spectrum(x)                 share of variance of each principal component
    iso_score(x)                how evenly they share it
    k_occurrence(rows, m)       how often each vector is a neighbour of another
    hubness(occurrence)         whether a few are neighbours of very many
    centroid_distance(a, b)     how far apart the centres of two sides are
    linear_separability(a, b)   whether a plane separates the two sides
    cross_uniformity(a, b)      how evenly one side covers the sphere around the other
    gap(a, b)                   all measures of the gap between two sides, such as images and texts
    leakage(a, b)               what two spaces know in common, in nats and as explained variance
    relative_penalties(a, c)    share of each negative in the push on an anchor
    effective_negatives(a, c)   number of negatives that this push is spread over

Vectors are compared by direction: every row is scaled to length one first, except in `leakage`. All functions walk over
blocks of rows with float64 sums, so memory is linear in the number of rows, and accept what `torch.as_tensor` accepts:
tensors, or the arrays of `encode`. No gradient flows: `nearfar.losses.hypersphere` has the terms for training.
"""

from nearfar.geometry.gap import LEAST_PAIRS, Gap, centroid_distance, cross_uniformity, gap, linear_separability
from nearfar.geometry.hubness import hubness, k_occurrence
from nearfar.geometry.leakage import LEAST_ITEMS, Leakage, leakage
from nearfar.geometry.negatives import effective_negatives, relative_penalties
from nearfar.geometry.space import (
    alignment,
    cone,
    effective_rank,
    explained_variance,
    isotropy,
    mean_cosine,
    tolerance,
    uniformity,
)
from nearfar.geometry.spectrum import iso_score, spectrum

__all__ = [
    "LEAST_ITEMS",
    "LEAST_PAIRS",
    "Gap",
    "Leakage",
    "alignment",
    "centroid_distance",
    "cone",
    "cross_uniformity",
    "effective_negatives",
    "effective_rank",
    "explained_variance",
    "gap",
    "hubness",
    "iso_score",
    "isotropy",
    "k_occurrence",
    "leakage",
    "linear_separability",
    "mean_cosine",
    "relative_penalties",
    "spectrum",
    "tolerance",
    "uniformity",
]
