"""The scores of pairs as a loss wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def targets_of(rows: Dataset, kind: Literal["regression", "binary", "classes"]) -> tuple[list[float], int]:
    """The column `score` as numbers, and how many logits a pair needs: one, or one a class.

    Raises:
        InputError: a score that is no probability (`binary`), classes that are not 0, 1, 2, ... (`classes`), or scores
            that are all equal.
    """
    scores = [float(score) for score in rows["score"]]
    found = sorted(set(scores))
    if len(found) < 2:
        raise InputError(f"every score is {found[0]:g}: nothing can be learned", field="score", remedy="give others")
    if kind == "binary" and not 0 <= found[0] <= found[-1] <= 1:
        wrong = found[0] if found[0] < 0 else found[-1]
        raise InputError(f"{wrong:g} is neither no (0) nor yes (1)", field="score", remedy="map scores to 0 ... 1")
    if kind == "classes" and found != [float(number) for number in range(len(found))]:
        shown = ", ".join(f"{value:g}" for value in found[:5])
        raise InputError(f"{shown} are not the classes 0, 1, 2, ...", field="score", remedy="number them from 0")
    return scores, len(found) if kind == "classes" else 1
