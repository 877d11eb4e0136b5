"""Who is near whom, and how much: builders of the target weights P.

P is (n, m) and non-negative: P_ij is the weight with which anchor i is pulled towards candidate j, and the sum of row i
is the weight of anchor i. An anchor whose row is all zero takes no part in the loss.

    paired()                candidate i belongs to anchor i
    same_label(a, b)        equal labels attract, spread evenly over a row
    by_similarity(a, b)     continuous weights from reference vectors
    by_softmax(a, b, t)     a softmax over the cosines of reference vectors
    by_overlap(a, b)        continuous weights from sets, such as the parts of annotation trees
    weights(P)              an explicit matrix
    smoothed(near, epsilon) any of these with label smoothing

No builder stores P as a whole: an engine asks for a block of rows (`Near.at`) and gets `nearfar.blocks.Targets`, which
are a few indices for `paired` and a matrix for the others.
"""

from nearfar.blocks import Near
from nearfar.near._labels import same_label
from nearfar.near._overlap import by_overlap
from nearfar.near._paired import paired
from nearfar.near._references import Weigh, by_similarity, by_softmax, power
from nearfar.near._smoothed import smoothed
from nearfar.near._weights import weights

__all__ = [
    "Near",
    "Weigh",
    "by_overlap",
    "by_similarity",
    "by_softmax",
    "paired",
    "power",
    "same_label",
    "smoothed",
    "weights",
]
