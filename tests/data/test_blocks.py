"""Rows in blocks, each with its place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nearfar.data._blocks import ROWS, Source, batched
from nearfar.errors import InputError


def rows(count: int, fail: bool = False) -> Iterator[tuple[int, str]]:
    for number in range(1, count + 1):
        yield number, str(number)
    if fail:
        raise InputError("is wrong")


def test_rows_are_grouped_in_order() -> None:
    blocks = list(batched(rows(ROWS + 3)))
    assert [len(places) for places, _ in blocks] == [ROWS, 3]
    assert blocks[1] == ([ROWS + 1, ROWS + 2, ROWS + 3], [str(ROWS + n) for n in (1, 2, 3)])


def test_rows_before_a_mistake_come_first() -> None:
    blocks = batched(rows(2, fail=True))
    assert next(blocks) == ([1, 2], ["1", "2"])
    with pytest.raises(InputError, match="is wrong"):
        next(blocks)


def test_a_mistake_is_named_by_line_or_row() -> None:
    lines = Source("x.csv", [], lambda wanted: iter([]))
    with pytest.raises(InputError) as caught:
        lines.fail(7, "is empty", field="text")
    assert (caught.value.file, caught.value.line, caught.value.field) == ("x.csv", 7, "text")
    with pytest.raises(InputError, match=r"^x\.parquet: text: row 7: "):
        Source("x.parquet", [], lambda wanted: iter([]), counts="rows").fail(7, "is empty", field="text")
