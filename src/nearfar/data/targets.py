"""Scores of pairs as targets of a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def targets_of(rows: Dataset, kind: Literal["regression", "binary", "classes"]) -> tuple[list[float], int]:
    """The column `score` as numbers, and the number of logits per pair: 1, or the number of classes.

    Raises:
        InputError: A score outside [0, 1] (`binary`), classes other than 0, 1, 2, ... (`classes`), or equal scores.
    """
    scores = [float(score) for score in rows["score"]]
    found = sorted(set(scores))
    if len(found) < 2:
        raise InputError(
            f"expected different scores, got {found[0]:g} in every row",
            field="score",
            remedy="add pairs with other scores",
        )
    if kind == "binary" and not 0 <= found[0] <= found[-1] <= 1:
        wrong = found[0] if found[0] < 0 else found[-1]
        raise InputError(f"expected a score from 0 to 1, got {wrong:g}", field="score", remedy="scale the scores")
    if kind == "classes" and found != [float(number) for number in range(len(found))]:
        shown = ", ".join(f"{value:g}" for value in found[:5])
        raise InputError(f"expected the classes 0, 1, 2, ..., got {shown}", field="score", remedy="number them from 0")
    return scores, len(found) if kind == "classes" else 1
