"""What supports that a candidate for a false negative does match: duplicates, labels, or agreement of models.

A single model that ranks a non-matching item above a row's positive may simply be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.data.same_text import plain_text

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float, Int

    from nearfar.inspection.neighbours import Neighbours
    from nearfar.inspection.sample import Sample

__all__ = ["Opinion", "Support", "support_of"]

Support = Literal["duplicates", "labels", "models"]
#: Differences of cosines that are rounding errors.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Opinion:
    """What one model says of a sample.

    Args:
        vectors: Unit vectors of each side's items.
        neighbours: What comparing the items of both sides finds.
    """

    vectors: tuple[Float[np.ndarray, "n d"], ...]
    neighbours: Neighbours

    def ranks_above(self, items: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """For one item of the last side for each item of the first: whether it is above the most similar positive."""
        import numpy as np

        cosines = np.einsum("nd,nd->n", self.vectors[0], self.vectors[-1][items])
        return cosines > self.neighbours.positive_cosine.numpy() + _ROUNDING

    def same_as(self, other: Opinion) -> bool:
        """Whether both are of one and the same model."""
        import numpy as np

        return all(map(np.array_equal, self.vectors, other.vectors))


def support_of(sample: Sample, opinions: Sequence[Opinion], number: int) -> list[tuple[Support, ...]]:
    """What supports that the most similar negative of each item matches; empty where it is one model's opinion.

    Labels that differ contradict models that agree, and a model's agreement with itself says nothing. Case and white
    space of texts are ignored, as for repeated rows.

    Args:
        sample: What is inspected.
        opinions: Those of all models.
        number: The model whose candidates are meant.
    """
    import numpy as np

    own = opinions[number]
    negative = own.neighbours.negative.numpy()
    found: dict[Support, Bool[np.ndarray, " n"]] = {"duplicates": _duplicates(sample, negative)}
    labels = _same_label(sample, negative)
    if labels is not None:
        found["labels"] = labels
    others = [each for each in opinions if each is not own and not each.same_as(own)]
    if others:
        agreed = np.all([each.ranks_above(negative) for each in others], axis=0)
        found["models"] = agreed if labels is None else agreed & labels
    above = own.neighbours.above.numpy() > 0
    return [
        tuple(name for name, supports in found.items() if candidate and supports[row])
        for row, candidate in enumerate(above)
    ]


def _duplicates(sample: Sample, negative: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Whether each negative repeats the item, one of its positives, or a positive of a row that repeats the item."""
    import numpy as np

    number: dict[object, int] = {}
    first, last = (
        np.array([number.setdefault(_content(item, row, side), len(number)) for row, item in enumerate(of.items)])
        for side, of in enumerate((sample.sides[0], sample.sides[-1]))
    )
    matching = np.stack([first[sample.positives[:, 0]], last[sample.positives[:, 1]]], axis=1) @ [len(number), 1]
    return np.isin(first * len(number) + last[negative], matching) | (first == last[negative])


def _content(item: object, row: int, side: int) -> object:
    """What two equal items have in common; a file without a path equals no other."""
    return plain_text(item) if isinstance(item, str) else (row, side)


def _same_label(sample: Sample, negative: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"] | None:
    import numpy as np

    if sample.labels is None or sample.groups is None:
        return None
    first, last = (np.array(names) for names in (sample.groups[0], sample.groups[-1]))
    return first == last[negative]
