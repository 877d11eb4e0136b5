"""Which rows share a text, so that they cannot be in one batch, and batches without such rows."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.data.stored import as_stored

if TYPE_CHECKING:
    from datasets import Dataset

#: Columns that no loss compares as texts. The names are sentence-transformers'.
LABELS = frozenset(("label", "labels", "score", "scores", "dataset_name"))


@dataclass(frozen=True)
class Clashes:
    """The texts that several rows have.

    Args:
        texts: Of each row that has any: their numbers.
        most: Rows that have the most frequent text; 1 where no text is shared.
        example: That text.
    """

    texts: Mapping[int, tuple[int, ...]]
    most: int
    example: str


def clashes_of(rows: Dataset) -> Clashes:
    """Find the texts that several rows have, in whichever columns. Values that are no text count by how they print."""
    import pyarrow as pa

    names = [name for name in rows.column_names if name not in LABELS]
    if not names or not len(rows):
        return Clashes({}, 1, "")
    columns: list[list[Any]] = [[] for _ in names]
    for table in as_stored(rows).select_columns(names).with_format("arrow").iter(10_000):
        for chunks, name in zip(columns, names, strict=True):
            chunks += [_as_strings(chunk) for chunk in table.column(name).chunks]  # pyright: ignore[reportAttributeAccessIssue]
    values = pa.concat_arrays([chunk for chunks in columns for chunk in chunks])
    encoded = values.dictionary_encode()
    # A value that is missing (-1) is like no other.
    numbers = np.asarray(encoded.indices.fill_null(-1)).reshape(len(names), len(rows)).T
    # A text that a row has twice counts once.
    numbers = np.sort(numbers, axis=1)
    again = np.zeros(numbers.shape, dtype=bool)
    again[:, 1:] = numbers[:, 1:] == numbers[:, :-1]
    counted = (numbers >= 0) & ~again
    frequency = np.bincount(numbers[counted], minlength=1)
    shared = counted & (frequency[numbers] > 1)
    texts: dict[int, tuple[int, ...]] = {}
    for row, number in zip(*(part.tolist() for part in (np.nonzero(shared)[0], numbers[shared])), strict=True):
        texts[row] = (*texts.get(row, ()), number)
    first = int(frequency.argmax())
    example = str(encoded.dictionary[first]) if len(encoded.dictionary) else ""
    return Clashes(texts, int(frequency.max()) or 1, example)


def _as_strings(values: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return values.cast(pa.large_string())
    return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.large_string())


def distinct_batches(
    order: Sequence[int], texts: Mapping[int, Sequence[int]], size: int, drop_last: bool
) -> Iterator[list[int]]:
    """Batches of rows that share no text. A row that does not fit waits for the next batch, and is the first in it.

    A batch is smaller than `size` only where no other row fits into it. The rows that are left when fewer than `size`
    remain form a last batch unless `drop_last`; after a batch that clashes made smaller, they do in any case. A row
    that fits into no batch of two rows is left out.

    The time is about linear in the number of rows: a row waits in the queue of a text, of which only the first can be
    drawn next.

    Args:
        order: The rows, in the order in which they are to be drawn.
        texts: Of the rows that share any: numbers of the texts that they share.
        size: Rows in a batch.
        drop_last: Leave out a last batch of fewer rows.
    """
    waiting: dict[int, list[int]] = {}  # text -> places in the order, a heap
    heads: list[tuple[int, int]] = []  # (first place, text) of queues, a heap; outdated entries are skipped
    at, left, least = 0, len(order), size if drop_last else 2
    while left >= least:
        batch: list[int] = []
        used: set[int] = set()
        later: list[tuple[int, int]] = []  # queues of texts that this batch has by now
        while len(batch) < size:
            text = None
            if heads:
                place, text = heapq.heappop(heads)
                queue = waiting[text]
                if not queue or queue[0] != place:
                    continue
                if text in used:
                    later.append((place, text))
                    continue
                heapq.heappop(queue)
            elif at < len(order):
                place, at = at, at + 1
            else:
                break
            own = texts.get(order[place], ())
            blocked = next((each for each in own if each in used), None)
            if blocked is None:
                batch.append(order[place])
                used.update(own)
            else:
                other = waiting.setdefault(blocked, [])
                heapq.heappush(other, place)
                if other[0] == place:
                    later.append((place, blocked))
            if text is not None and waiting[text]:
                following = (waiting[text][0], text)
                if text in used:
                    later.append(following)
                else:
                    heapq.heappush(heads, following)
        for entry in later:
            heapq.heappush(heads, entry)
        left -= len(batch)
        if len(batch) < size:
            least = 2
        if len(batch) > 1:
            yield batch
