"""Checks of documents of texts and images in turn: the column `parts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from nearfar.data._json import kind_of
from nearfar.data._values import FILL, TEXT, Fail, absent, listed, text_problem

__all__ = ["PART", "part_lists"]

PART = pa.struct([("text", TEXT), ("image", TEXT)])
_EXAMPLE = 'write [{"image": "a.jpg"}, {"text": "..."}]'


def part_lists(values: Any, fail: Fail, joined: Callable[[str], str]) -> pa.Array:
    """Check lists of {text} or {image}; other keys are dropped.

    Args:
        values: A list of Python values, or an Arrow array.
        fail: Raises the error of a row.
        joined: From a path in the file to one that can be opened from here.
    """
    rows = [_parts(value, index, fail, joined) for index, value in enumerate(listed(values))]
    return pa.array(rows, pa.list_(PART))


def _parts(value: object, index: int, fail: Fail, joined: Callable[[str], str]) -> list[dict[str, str | None]]:
    if problem := absent(value):
        fail(index, problem)
    if not isinstance(value, list):
        fail(index, (f"expected a list of texts and images, got {kind_of(value)}", _EXAMPLE))
    assert isinstance(value, list)
    if not value:
        fail(index, ("is an empty list", FILL))
    found: list[dict[str, str | None]] = []
    for at, part in enumerate(value):
        if not isinstance(part, dict):
            fail(index, (f"expected an object, got {kind_of(part)}", _EXAMPLE), f"[{at}]")
        given = [name for name in ("text", "image") if part.get(name) is not None]
        if len(given) != 1:
            got = "both" if given else "neither"
            fail(index, (f"expected either text or image, got {got}", _EXAMPLE), f"[{at}]")
        (name,) = given
        if problem := text_problem(part[name]):
            fail(index, problem, f"[{at}].{name}")
        found.append({"text": None, "image": None, name: part[name] if name == "text" else joined(part[name])})
    return found
