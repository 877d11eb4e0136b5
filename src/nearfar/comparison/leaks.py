"""Finds evaluation rows that are also in the training data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.items import Item, normal, texts_of
from nearfar.data.retrieval import Retrieval
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

#: Maximum number of rows listed in a message, and in a file.
NAMED, LISTED = 5, 1_000


@dataclass(frozen=True)
class Leaks:
    """The texts that two splits share. Rows count from 1; differences in case and white space are ignored.

    Args:
        items: Number of evaluation rows, or of pairs of a query and a relevant document.
        same: Evaluation rows that are also training rows, with all their texts, in any order; each with the first such
            training row.
        seen: Evaluation rows whose texts are all in the training rows, but not in the same row.
        shared: Evaluation rows of which some texts, but not all, are in the training rows. In retrieval this can be
            correct: one document can answer many queries.
    """

    items: int
    same: list[tuple[int, int]]
    seen: list[int]
    shared: list[int]

    def as_dict(self) -> dict[str, Any]:
        """Counts, and the row numbers up to a limit, for JSON."""
        return {
            "evaluation_rows": self.items,
            "same_rows": len(self.same),
            "every_text_seen": {"rows": len(self.seen), "first": self.seen[:LISTED]},
            "some_text_seen": {"rows": len(self.shared), "first": self.shared[:LISTED]},
        }

    def __str__(self) -> str:
        if not (self.seen or self.shared):
            return "No text of the evaluation rows is in the training rows."
        parts = [
            f"{len(rows):,} of {self.items:,} evaluation rows have {what} in the training rows ({_named(rows)})"
            for rows, what in ((self.seen, "every text"), (self.shared, "some text"))
            if rows
        ]
        return "; ".join(parts) + ": scores on these rows may be too high, because the model saw the texts in training."


def find_leaks(training: Dataset, held_out: Dataset | Retrieval) -> Leaks:
    """Compare the texts of two splits."""
    first: dict[Item, int] = {}
    for row, item in enumerate(texts_of(training, negatives=False), 1):
        first.setdefault(_key(item), row)
    known = {text for item in texts_of(training, negatives=True) for text in item}
    same: list[tuple[int, int]] = []
    seen: list[int] = []
    shared: list[int] = []
    items = _items(held_out)
    for row, item in enumerate(items, 1):
        if not item:
            continue
        twin, found = first.get(_key(item)), [text in known for text in item]
        if twin is not None:
            same.append((row, twin))
        elif all(found):
            seen.append(row)
        elif any(found):
            shared.append(row)
    return Leaks(len(items), same, seen, shared)


def refuse_same(leaks: Leaks, file: str | Path | None) -> None:
    """Raise an InputError if evaluation rows are training rows."""
    if not leaks.same:
        return
    if len(leaks.same) == leaks.items:
        problem = "all evaluation rows are training rows, so the scores would only measure memorization"
    else:
        pairs = ", ".join(f"{ours} = training row {theirs}" for ours, theirs in leaks.same[:NAMED])
        more = ", ..." if len(leaks.same) > NAMED else ""
        problem = f"{len(leaks.same):,} of {leaks.items:,} evaluation rows are training rows too (row {pairs}{more})"
    remedy = "remove them from one file, add --drop-leaks to train without them, or remove --eval to split --data"
    raise InputError(problem, file=file, field="--eval", remedy=remedy)


def without_same(training: Dataset, held_out: Dataset | Retrieval) -> Dataset:
    """The training rows without those that are evaluation rows.

    Raises:
        InputError: Fewer than two rows remain.
    """
    banned = {_key(item) for item in _items(held_out)} - {()}
    kept = [row for row, item in enumerate(texts_of(training, negatives=False)) if _key(item) not in banned]
    if len(kept) < 2:
        problem = f"only {len(kept)} of {len(training):,} training rows would remain without the evaluation rows"
        raise InputError(problem, field="--drop-leaks", remedy="use other rows, or remove --eval to split --data")
    return training.select(kept)


def _items(held_out: Dataset | Retrieval) -> list[Item]:
    if not isinstance(held_out, Retrieval):
        return texts_of(held_out, negatives=False)
    corpus, queries = held_out.corpus, held_out.queries
    return [
        (normal(queries[query]), normal(corpus[document]))
        for query, documents in held_out.relevant.items()
        for document in documents
        if query in queries and document in corpus
    ]


def _key(item: Item) -> Item:
    return tuple(sorted(item))


def _named(rows: list[int]) -> str:
    listed = ", ".join(f"{row:,}" for row in rows[:NAMED])
    return f"row{'s' * (len(rows) > 1)} {listed}{', ...' if len(rows) > NAMED else ''}"
