"""Faults of rows, and what is done about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from nearfar.errors import InputError
from nearfar.settings import Count, Probability, Range, Whole, check_ranges

__all__ = ["ACTIONS", "Fault", "RepairOptions"]

Name = Literal["duplicates", "near_duplicates", "false_negatives", "wrong_positives", "wrong_labels"]

#: What can be done about each fault; the first is the default, see `RepairOptions.action`.
ACTIONS: dict[str, tuple[str, ...]] = {
    "duplicates": ("drop", "keep"),
    "near_duplicates": ("keep", "drop"),
    "false_negatives": ("mask", "drop", "relabel", "keep"),
    "wrong_positives": ("drop", "keep"),
    "wrong_labels": ("relabel", "drop", "keep"),
}


@dataclass(frozen=True)
class RepairOptions:
    """What counts as a fault, and what is done about it.

    Args:
        actions: Action by fault, of `ACTIONS`. A masked negative is replaced with a random document; a relabelled one
            is also the positive of a further row. A relabelled text gets the label that is most likely.
        near_duplicate: Minimum cosine of near-duplicates.
        wrong_rank: A positive is suspected to be wrong if more than this fraction of all positives are more similar
            to its anchor.
        times: A label is suspected to be wrong if a classifier that learns from the other texts holds another one for
            at least so many times as likely.
        chance: A judge confirms a wrong positive if its score is not above this quantile of random pairs, of which
            there are as many as suspects, and at least 100.
        batch_size: Batch size.
        seed: Random seed of masks and random pairs.

    Source: Northcutt et al. 2021, Confident Learning (labels); Moreira et al. 2024, NV-Retriever (negatives more
    similar than the positive).

    Raises:
        InputError: An unknown fault or action, or a value out of its range.
    """

    actions: Mapping[str, str] = field(default_factory=dict)
    near_duplicate: Annotated[float, Range(above=0, most=1)] = 0.95
    wrong_rank: Probability = 0.2
    times: Annotated[float, Range(above=1)] = 5.0
    chance: Probability = 0.95
    batch_size: Count = 64
    seed: Whole = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        for fault, action in self.actions.items():
            if fault not in ACTIONS:
                raise InputError(
                    f"unknown fault {fault!r}", field="actions", remedy=f"choose from {', '.join(ACTIONS)}"
                )
            if action not in ACTIONS[fault]:
                remedy = f"choose from {', '.join(ACTIONS[fault])}"
                raise InputError(f"invalid action {action!r} for {fault}", field="actions", remedy=remedy)

    def action(self, fault: str, *, judged: bool = False) -> str:
        """What is done about a fault. By default a positive is dropped only if a judge has confirmed that it is wrong.

        Args:
            fault: A key of `ACTIONS`.
            judged: Whether there is a judge.
        """
        usual = "keep" if fault == "wrong_positives" and not judged else ACTIONS[fault][0]
        return self.actions.get(fault, usual)


@dataclass(frozen=True)
class Fault:
    """A fault of a row.

    Args:
        row: The row, from 0.
        name: What it is.
        reason: Why, in words.
        column: The column with the fault; None: the whole row.
        value: The right value where it is known: another label.
        score, other: The scores that were compared, of the row's own text or label and of the other.
    """

    row: int
    name: Name
    reason: str
    column: str | None = None
    value: Any = None
    score: float | None = None
    other: float | None = None
