"""Rows of a background and of a target as one dataset, whose labels say which row is which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nearfar.data.media import medium_in, undecoded
from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict
    from jaxtyping import Float

__all__ = ["attributes_of", "joined", "shared_column"]


def shared_column(rows: DatasetDict) -> Literal["text", "image", "audio"]:
    """The column that background and target both have: `image` or `audio`, else `text`.

    Raises:
        InputError: They have different ones.
    """
    found: dict[str, Any] = {str(role): medium_in(part.column_names) or "text" for role, part in rows.items()}
    background, target = found["background"], found["target"]
    if background != target:
        problem = f"expected background and target of one kind, got {background} and {target}"
        raise InputError(problem, field="--data", remedy="use two datasets with the same column")
    return target


def joined(rows: DatasetDict, attributes: Float[np.ndarray, "targets k"] | None = None) -> Dataset:
    """The rows of the background, then those of the target; their inputs and a column `label`.

    Args:
        rows: Datasets `background` and `target`.
        attributes: The attributes of each target. Without them a label is 0 for the background and 1 for a target; with
            them it is a list of this and the attributes, 0 for the background.
    """
    from datasets import concatenate_datasets

    column = shared_column(rows)
    parts, labels = [], []
    for value, role in enumerate(("background", "target")):
        part = rows[role] if column == "text" else undecoded(rows[role], column)
        parts.append(part.select_columns([column]))
        if attributes is None:
            labels += [value] * len(part)
        elif value:
            labels += [[1.0, *row] for row in attributes.tolist()]
        else:
            labels += [[0.0] * (1 + attributes.shape[1])] * len(part)
    return concatenate_datasets(parts).add_column("label", labels)  # pyright: ignore[reportCallIssue]


def attributes_of(
    rows: Dataset, kind: Literal["auto", "continuous", "discrete"] = "auto"
) -> tuple[Float[np.ndarray, "n k"], list[bool]]:
    """The attributes of each row from its column `attributes`, or its label as the only one, discrete attribute.

    Args:
        rows: With a column `attributes` (lists of numbers), or `label`.
        kind: `auto`: attributes are discrete if all their values are whole numbers.

    Returns:
        The attributes, continuous ones scaled to 0..1; and for each whether it is discrete.

    Raises:
        InputError: There are none, or rows have different numbers of attributes.
    """
    import numpy as np

    if "attributes" not in rows.column_names:
        if "label" not in rows.column_names:
            remedy = "add the column, or set attributes=none"
            raise InputError("expected a column 'attributes' or 'label' in the target", field="--data", remedy=remedy)
        return np.unique(rows["label"][:], return_inverse=True)[1].astype(float)[:, None], [True]
    lists: list[list[float]] = rows["attributes"][:]
    width = len(lists[0])
    for row, each in enumerate(lists, 1):
        if len(each) != width or not each:
            problem = f"row {row} of the target: expected {width} attributes, got {len(each)}"
            raise InputError(problem, field="attributes", remedy="give all rows the same number, 1 or more")
    found = np.asarray(lists, dtype=float)
    discrete = (found == np.round(found)).all(0) if kind == "auto" else np.full(width, kind == "discrete")
    low, range_ = found.min(0), np.ptp(found, axis=0)
    scaled = (found - low) / np.where(range_ > 0, range_, 1)
    return np.where(discrete, found, scaled), discrete.tolist()
