"""What a space of vectors looks like, in one number each; and how hard a contrastive loss looks at its negatives.

    uniformity(x)               how evenly the sphere is filled
    alignment(a, b)             how far apart the two vectors of a pair are
    tolerance(x, labels)        how close vectors of one label are
    mean_cosine(x)              how close any two vectors are
    cone(x)                     how close vectors are to their mean direction
    isotropy(x)                 whether all directions are used alike
    effective_rank(x)           how many directions are used
    explained_variance(x)       how much of the variance the first directions hold
    spectrum(x)                 how much of it each direction holds
    iso_score(x)                how evenly they share it
    k_occurrence(rows, m)       how often each vector is a neighbour of another
    hubness(occurrence)         whether a few are neighbours of very many
    centroid_distance(a, b)     how far apart the centres of two sides are
    linear_separability(a, b)   whether a plane tells the two sides apart
    cross_uniformity(a, b)      how evenly one side lies about the other
    gap(a, b)                   all that is said of the gap between two sides, such as pictures and texts
    relative_penalties(a, c)    which share of an anchor's push each negative gets
    effective_negatives(a, c)   how many negatives that push is spread over

Vectors are compared by direction: every row is scaled to length one first. All functions walk over blocks of rows in
float64 sums, so that memory stays flat, and take what `torch.as_tensor` takes: tensors, or the arrays of `encode`.
They are for looking, not for training: no gradient flows. `nearfar.losses.hypersphere` has those that train.
"""

from nearfar.geometry.gap import LEAST_PAIRS, Gap, centroid_distance, cross_uniformity, gap, linear_separability
from nearfar.geometry.hubness import hubness, k_occurrence
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
    "LEAST_PAIRS",
    "Gap",
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
    "linear_separability",
    "mean_cosine",
    "relative_penalties",
    "spectrum",
    "tolerance",
    "uniformity",
]
