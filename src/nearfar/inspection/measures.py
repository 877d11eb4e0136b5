"""The measures of an inspection, in words."""

from __future__ import annotations

from typing import NamedTuple

#: Neighbours of the k-occurrence, as in Radovanović et al. 2010, Hubs in Space.
NEIGHBOURS = 10


class Measure(NamedTuple):
    """What a measure is called, and what it means.

    Args:
        name: Its name.
        better: +1 where higher is better, -1 where lower is; 0 where it depends on the use.
        meaning: A definition on one line.
    """

    name: str
    better: int
    meaning: str


MEASURES: dict[str, Measure] = {
    "alignment": Measure("alignment", -1, "mean squared distance of positive pairs; 0: identical vectors"),
    "uniformity": Measure("uniformity", 0, "how evenly vectors cover the sphere; 0: all equal, about 4: evenly spread"),
    "tolerance": Measure("tolerance", 0, "mean cosine of items that share a label"),
    "positive_cosine": Measure("cosine of positive pairs", 0, "mean over pairs, or over pairs that share a label"),
    "negative_cosine": Measure("cosine of random pairs", 0, "mean over sampled pairs that do not match"),
    "separation": Measure(
        "separation", 1, "how often a positive pair is more similar than a random pair; 0.5: by chance"
    ),
    "false_negative_share": Measure(
        "false-negative candidates", -1, "share of rows with a non-matching item ranked above their positive"
    ),
    "confused_share": Measure(
        "closest to another label", -1, "share of rows with a row of another label closer than any of their own"
    ),
    "spearman": Measure("Spearman's correlation", 1, "of cosines with human scores"),
    "mean_cosine": Measure("mean cosine", 0, "mean over all pairs of items; 0: directions are evenly spread"),
    "isotropy": Measure("isotropy", 0, "1: no preferred direction, 0: a narrow cone"),
    "iso_score": Measure("IsoScore", 0, "1: all directions have the same variance, 0: one direction has all variance"),
    "effective_rank": Measure("effective rank", 0, "number of directions that are used"),
    "hubness": Measure(
        "hubness", -1, f"skewness of how often an item is among the {NEIGHBOURS} nearest; above 1: there are hubs"
    ),
}
