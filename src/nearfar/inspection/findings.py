"""Items of a sample that are worth reading: false-negative candidates, confused labels, near-duplicates, hubs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nearfar.inspection.duplicates import near_duplicates
from nearfar.inspection.records import Confused, Confusion, FalseNegative, Hub, Item, NearDuplicate, shown

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

    from nearfar.inspection.evidence import Support
    from nearfar.inspection.neighbours import Neighbours
    from nearfar.inspection.sample import Sample

#: Maximum length of a list.
LISTED = 100
#: Number of hubs that are named.
HUBS = 10
#: Examples of a pair of labels.
EXAMPLES = 3


def false_negatives(
    sample: Sample, found: Neighbours, support: Sequence[tuple[Support, ...]] | None = None
) -> list[FalseNegative]:
    """Items with a negative ranked above their positive: likely ones first, then those with the most similar negative.

    Args:
        sample: What is inspected.
        found: What comparing the items of both sides finds.
        support: For each item of the first side, what supports that its negative matches; None: nothing does.
    """
    import torch

    support = [()] * len(found.above) if support is None else support
    rows = (found.above > 0).nonzero().flatten()
    order = found.negative_cosine[rows].argsort(descending=True, stable=True)
    likely = torch.tensor([bool(support[row]) for row in rows[order].tolist()], dtype=torch.bool)
    order = torch.cat([order[likely], order[~likely]])
    last = len(sample.sides) - 1
    row_of: dict[tuple[int, ...], int] = {}
    for row in rows[order].tolist():
        pair = (row, int(found.negative[row]))
        # On a single side two items may be each other's negative: one of the two is enough.
        row_of.setdefault(pair if last else tuple(sorted(pair)), row)
        if len(row_of) == LISTED:
            break
    return [
        FalseNegative(
            item=item_of(sample, 0, row),
            positive=item_of(sample, last, int(found.positive[row])),
            positive_cosine=float(found.positive_cosine[row]),
            negative=item_of(sample, last, int(found.negative[row])),
            negative_cosine=float(found.negative_cosine[row]),
            above=int(found.above[row]),
            support=support[row],
        )
        for row in row_of.values()
    ]


def confusions(sample: Sample, found: Neighbours) -> list[Confusion]:
    """Pairs of labels whose rows are closest to each other, those with most such rows first. Of labelled rows alone.

    Rows of different labels are negatives, however similar: nothing here says that a label is wrong.
    """
    import numpy as np

    assert sample.labels is not None
    labels, other = sample.labels, sample.labels[found.negative.numpy()]
    rows = (found.above > 0).nonzero().flatten().numpy()
    by_pair: dict[tuple[int, int], list[int]] = {}
    for row in rows[np.argsort(-found.negative_cosine.numpy()[rows], kind="stable")].tolist():
        first, second = sorted((int(labels[row]), int(other[row])))
        by_pair.setdefault((first, second), []).append(row)
    counts = np.bincount(labels)
    listed = sorted(by_pair.items(), key=lambda each: (-len(each[1]), each[0]))[:LISTED]
    return [
        Confusion(
            (_label(sample, labels, first), _label(sample, labels, second)),
            len(members),
            int(counts[first] + counts[second]),
            tuple(_confused(sample, found, row) for row in members[:EXAMPLES]),
        )
        for (first, second), members in listed
    ]


def _confused(sample: Sample, found: Neighbours, row: int) -> Confused:
    return Confused(
        item_of(sample, 0, row),
        float(found.positive_cosine[row]),
        item_of(sample, 0, int(found.negative[row])),
        float(found.negative_cosine[row]),
    )


def _label(sample: Sample, labels: Int[np.ndarray, " n"], number: int) -> str:
    assert sample.groups is not None
    return shown(sample.groups[0][int((labels == number).argmax())])


def near_duplicate_items(
    sample: Sample, vectors: tuple[Float[np.ndarray, "n d"], ...], threshold: float
) -> tuple[list[NearDuplicate], int]:
    """Pairs within each side with a cosine of at least `threshold`: the most similar first, and how many there are."""
    import torch

    found: list[NearDuplicate] = []
    total = 0
    for side, of_side in enumerate(vectors):
        count, pairs = near_duplicates(torch.from_numpy(of_side), threshold, LISTED)
        total += count
        found += [NearDuplicate(item_of(sample, side, i), item_of(sample, side, j), cosine) for i, j, cosine in pairs]
    return sorted(found, key=lambda pair: -pair.cosine)[:LISTED], total


def hubs(sample: Sample, occurrence: Int[np.ndarray, " m"]) -> list[Hub]:
    """The items of the last side that are among the nearest of most items, the most frequent first."""
    import numpy as np

    order = np.argsort(-occurrence, kind="stable")[:HUBS].tolist()
    return [Hub(item_of(sample, len(sample.sides) - 1, item), int(occurrence[item])) for item in order]


def item_of(sample: Sample, side: int, item: int) -> Item:
    """An item of a side by its number, as it is named in results."""
    of = sample.sides[side]
    label = None if sample.groups is None else shown(sample.groups[side][item])
    return Item(of.name, of.origins[item], shown(of.text(item)), label)
