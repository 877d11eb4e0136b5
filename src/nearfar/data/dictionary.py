"""Dictionaries: an entry may have several definitions, one per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def with_entry_labels(rows: Dataset) -> tuple[Dataset, list[str]]:
    """Number the entries.

    Args:
        rows: Columns `entry` and `definition`. Rows with the same entry share a label; the same definition of two
            entries remains two rows.

    Returns:
        Columns `definition` and `label`, where label k is entry k; and the entries, sorted.

    Raises:
        InputError: Fewer than two entries.
    """
    import numpy as np

    entries, labels = np.unique(np.asarray(rows["entry"]), return_inverse=True)
    if len(entries) < 2:
        raise InputError(
            f"expected at least two entries, got only {str(entries[0])!r}", field="entry", remedy="add definitions"
        )
    return rows.select_columns("definition").add_column("label", labels.tolist()), entries.tolist()
