"""Variants of the training rows: others on which every recipe is trained, too, such as pairs with mined negatives.

No row of a variant may be an evaluation row. Of evaluation rows that are given this is an error, as it is for the other
training rows. Where groups of the training rows are held out, their texts are in the variant as a rule, because it was
made of all rows; its rows with such a text are removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.leaks import Leaks, find_leaks, refuse_same, rows_without_same
from nearfar.comparison.sources import check_paths, read_source
from nearfar.comparison.variant_names import FIELD
from nearfar.data.items import texts_of
from nearfar.errors import InputError
from nearfar.evaluation.groups import grouped_by_negatives

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.comparison.request import Request
    from nearfar.data import Retrieval
    from nearfar.evaluation.groups import Split

__all__ = ["Variant", "read_variants", "without_validation"]


@dataclass(frozen=True)
class Variant:
    """Other training rows.

    Args:
        rows: The rows that are trained on.
        leaks: The texts that they and the evaluation rows have in common.
        dropped: Number of rows removed because they are evaluation rows.
        shared: Number of rows removed because they have a text of rows that are held out.
    """

    rows: Dataset
    leaks: Leaks
    dropped: int = 0
    shared: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Counts for JSON."""
        removed = {"dropped_training_rows": self.dropped, "rows_with_held_out_texts": self.shared}
        return {"training": len(self.rows), **removed, "leaks": {**self.leaks.as_dict(), "says": str(self.leaks)}}


def read_variants(
    request: Request,
    mappings: Sequence[Mapping[str, str] | None],
    held_out: Dataset | Retrieval,
    split: Split | None,
) -> dict[str, Variant]:
    """Read all variants, by name.

    Args:
        request: The request.
        mappings: The column mapping of each. One that is for all datasets is used where it fits.
        held_out: The evaluation rows.
        split: How they were held out; None if they were given.

    Raises:
        InputError: Rows cannot be read, or are evaluation rows.
    """
    optional = isinstance(request.columns, Mapping) or len(request.columns or ()) == 1
    found = {}
    for (name, source), columns in zip(request.variants.items(), mappings, strict=True):
        rows = _read(source, columns, optional, request.skip_broken)
        check_paths(rows, source if isinstance(source, (str, Path)) else None)
        if split is not None:
            found[name] = _without_texts(name, rows, held_out, split, request.held_out)
        else:
            found[name] = _without_same(name, rows, held_out, request)
    return found


def without_validation(
    variants: Mapping[str, Variant], validation: Dataset | Retrieval, split: Split | None, share: float
) -> dict[str, Variant]:
    """The variants without rows that have a text of the validation rows.

    Args:
        variants: The variants, by name.
        validation: The validation rows.
        split: How they were held out; None if they were given.
        share: Maximum fraction of rows that are held out.

    Raises:
        InputError: Validation rows that were given are rows of a variant, or too few rows remain.
    """
    found = {}
    for name, each in variants.items():
        if split is not None:
            fewer = _without_texts(name, each.rows, validation, split, share)
            found[name] = replace(fewer, dropped=each.dropped, shared=each.shared + fewer.shared)
        elif find_leaks(each.rows, validation).same:
            problem = f"validation rows are training rows too, in the variant {name}"
            raise InputError(problem, field="--validation", remedy="remove them from one file")
        else:
            found[name] = replace(each, leaks=find_leaks(each.rows, validation))
    return found


def _read(source: Any, columns: Mapping[str, str] | None, optional: bool, skip_broken: bool) -> Dataset:
    try:
        return read_source(source, columns, skip_broken=skip_broken)
    except InputError as error:
        if not optional or error.field != "columns":
            raise
        return read_source(source, None, skip_broken=skip_broken)


def _without_same(name: str, rows: Dataset, held_out: Dataset | Retrieval, request: Request) -> Variant:
    """A variant that has no evaluation row."""
    leaks, count = find_leaks(rows, held_out), len(rows)
    try:
        if request.drop_leaks and leaks.same:
            rows = rows.select(rows_without_same(rows, held_out))
            leaks = find_leaks(rows, held_out)
        refuse_same(leaks, request.evaluate_on if isinstance(request.evaluate_on, (str, Path)) else None)
    except InputError as error:
        problem = f"variant {name}: {error.problem}"
        raise InputError(problem, file=error.file, field=error.field, remedy=error.remedy) from error
    return Variant(rows, leaks, dropped=count - len(rows))


def _without_texts(name: str, rows: Dataset, held_out: Dataset | Retrieval, split: Split, share: float) -> Variant:
    """A variant that has no text of the rows that `split` held out.

    Negatives count as they do in that split: not if they connect too many rows of the variant to split these by them.
    """
    from datasets import Dataset

    assert isinstance(held_out, Dataset)  # a split holds out rows
    theirs = {text for item in texts_of(held_out, negatives=split.by_negatives) for text in item}
    ours = texts_of(rows, negatives=grouped_by_negatives(rows, share=share))
    kept = rows.select([row for row, item in enumerate(ours) if theirs.isdisjoint(item)])
    if len(kept) < 2:
        problem = f"variant {name}: only {len(kept)} of {len(rows):,} rows have no text of the rows that are held out"
        raise InputError(problem, field=FIELD, remedy="use more rows, or give other rows to measure on with --eval")
    return Variant(kept, find_leaks(kept, held_out), shared=len(rows) - len(kept))
