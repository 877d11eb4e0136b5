"""Which candidates count as far, and how much: builders of the additive log-weights F.

F is (n, m) with entries in [-inf, inf) and changes only the denominator: 0 keeps a candidate, -inf removes it, log w
counts it w times. Combine builders with `+`. No gradient flows through F, except with `by_distance`.

    except_self()                              an anchor is not its own negative
    except_same_label(a, b)                    a candidate with the anchor's label is not its negative
    masked(mask)                               candidates that do not count
    weighted(w)                                importance weights
    by_distance(a, b, temperature)             a Gaussian kernel of a second pair of vectors, with gradient
    except_likely_positives(a, b, threshold)   false negatives, found by reference vectors
    harder(beta)                               negatives count more the more similar they are
    hardest(alpha)                             only the most similar negatives
"""

from nearfar.blocks import Far
from nearfar.far._distance import by_distance
from nearfar.far._hard import harder, hardest
from nearfar.far._labels import except_same_label, except_self
from nearfar.far._likely_positives import except_likely_positives
from nearfar.far._weights import masked, weighted

__all__ = [
    "Far",
    "by_distance",
    "except_likely_positives",
    "except_same_label",
    "except_self",
    "harder",
    "hardest",
    "masked",
    "weighted",
]
