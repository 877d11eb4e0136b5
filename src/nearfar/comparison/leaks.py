"""Whether a model would be measured on what it was trained on, and which rows are to blame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.items import Item, normal, texts_of
from nearfar.data.retrieval import Retrieval
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

#: Rows that a message names, and rows that a file lists.
NAMED, LISTED = 5, 1_000


@dataclass(frozen=True)
class Leaks:
    """What two splits share. Rows count from 1; texts that differ in case or spacing alone are the same.

    Args:
        items: Evaluation rows, or pairs of a query and a relevant document.
        same: Evaluation rows that stand in the training rows with all their texts, in either order, each with the
            first training row that says the same.
        seen: Evaluation rows of which every text stands somewhere in the training rows, though not together.
        shared: Evaluation rows of which some text, but not every, does. In a search that may be as it should be: the
            same document answers many queries.
    """

    items: int
    same: list[tuple[int, int]]
    seen: list[int]
    shared: list[int]

    def as_dict(self) -> dict[str, Any]:
        """Counts, and the rows up to a limit, for JSON."""
        return {
            "evaluation_rows": self.items,
            "same_rows": len(self.same),
            "every_text_seen": {"rows": len(self.seen), "first": self.seen[:LISTED]},
            "some_text_seen": {"rows": len(self.shared), "first": self.shared[:LISTED]},
        }

    def __str__(self) -> str:
        if not (self.seen or self.shared):
            return "No text of the evaluation rows stands in the training rows."
        parts = [
            f"{len(rows):,} of {self.items:,} evaluation rows have {what} in the training rows ({_named(rows)})"
            for rows, what in ((self.seen, "every text"), (self.shared, "some text"))
            if rows
        ]
        return "; ".join(parts) + ": what was learnt by heart counts there."


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
    """Raise an InputError where evaluation rows are training rows."""
    if not leaks.same:
        return
    if len(leaks.same) == leaks.items:
        problem = "all evaluation rows are training rows, so this would measure what was learnt by heart"
    else:
        pairs = ", ".join(f"{ours} = training row {theirs}" for ours, theirs in leaks.same[:NAMED])
        more = ", ..." if len(leaks.same) > NAMED else ""
        problem = f"{len(leaks.same):,} of {leaks.items:,} evaluation rows are training rows too (row {pairs}{more})"
    remedy = "take them out of one of the files, add --drop-leaks to train without them, or leave --eval out to split"
    raise InputError(problem, file=file, field="--eval", remedy=remedy)


def without_same(training: Dataset, held_out: Dataset | Retrieval) -> Dataset:
    """The training rows that are no evaluation rows.

    Raises:
        InputError: fewer than two are left.
    """
    banned = {_key(item) for item in _items(held_out)} - {()}
    kept = [row for row, item in enumerate(texts_of(training, negatives=False)) if _key(item) not in banned]
    if len(kept) < 2:
        problem = f"of {len(training):,} training rows {len(kept)} would be left without the evaluation rows"
        raise InputError(problem, field="--drop-leaks", remedy="give other rows, or leave --eval out to split them")
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
