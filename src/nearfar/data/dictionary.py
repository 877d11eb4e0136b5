"""Dictionaries: an entry may have many definitions, one a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def with_entry_labels(rows: Dataset) -> tuple[Dataset, list[str]]:
    """Number the entries.

    Args:
        rows: Columns `entry` and `definition`. Rows with the same entry define it together, wherever they stand; the
            same definition under two entries stays two rows.

    Returns:
        Columns `definition` and `label`, where label k means entry k; and the entries, in sorted order.

    Raises:
        InputError: fewer than two entries, so that there is nothing to tell apart.
    """
    import numpy as np

    entries, labels = np.unique(np.asarray(rows["entry"]), return_inverse=True)
    if len(entries) < 2:
        raise InputError(
            f"every row defines {str(entries[0])!r}", field="entry", remedy="give definitions of at least two entries"
        )
    return rows.select_columns("definition").add_column("label", labels.tolist()), entries.tolist()
