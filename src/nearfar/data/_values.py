"""What is wrong with a single value, in words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any, NoReturn, Protocol

import pyarrow as pa

from nearfar.data._blocks import Missing
from nearfar.data._json import kind_of
from nearfar.data.blanks import FILL, INVISIBLE, Problem, blank, is_blank
from nearfar.data.limits import max_text, too_long

__all__ = [
    "FILL",
    "GIVE_ALL",
    "INVISIBLE",
    "ONE_PER_ROW",
    "TEXT",
    "Fail",
    "Problem",
    "absent",
    "blank",
    "first_bad",
    "is_blank",
    "listed",
    "score_problem",
    "text_problem",
]

TEXT = pa.string()
ONE_PER_ROW = "give one text per row"
GIVE_ALL = "every row requires it"


class Fail(Protocol):
    """Raises an InputError for the value at an index of a block, or for a part of it such as `[2].text`."""

    def __call__(self, index: int, problem: Problem, inside: str = "") -> NoReturn: ...


def is_text(kind: pa.DataType) -> bool:
    """Whether Arrow values of a type are texts, in any of the ways in which it stores them."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)  # pyright: ignore[reportAttributeAccessIssue]
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def as_text(values: pa.Array) -> pa.Array:
    """Texts of any Arrow type as strings.

    Raises:
        pyarrow.ArrowTypeError: They are no texts.
    """
    if not is_text(values.type):
        raise pa.ArrowTypeError("expected texts")
    try:
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)  # pyright: ignore[reportAttributeAccessIssue]
        return values.cast(TEXT)
    except pa.ArrowNotImplementedError:
        # Arrow has no cast for some, such as a dictionary of string views.
        return pa.array(values.to_pylist(), TEXT)


def listed(values: Any) -> list[Any]:
    """The values of a block as a list."""
    return values.to_pylist() if isinstance(values, pa.Array) else values


def first_bad(values: Any, problem_of: Callable[[object], Problem | None], fail: Fail) -> None:
    """Fail at the first value that has a problem."""
    for index, value in enumerate(listed(values)):
        if problem := problem_of(value):
            fail(index, problem)


def absent(value: object) -> Problem | None:
    """The problem of a field that is missing or null."""
    if isinstance(value, Missing):
        return "is missing", GIVE_ALL
    return ("is null", GIVE_ALL) if value is None else None


def text_problem(value: object) -> Problem | None:
    """The problem of a value that must be a text with visible characters."""
    if problem := absent(value):
        return problem
    if not isinstance(value, str):
        # Bytes, dates and decimals are values of typed columns; lists and objects contain several texts.
        other = "write it in quotes" if isinstance(value, int | float) else "write the column as text"
        remedy = ONE_PER_ROW if isinstance(value, list | dict) else other
        return f"expected a string, got {kind_of(value)}", remedy
    if is_blank(value):
        return blank(value)
    try:
        if len(value) > max_text() // 4 and (size := len(value.encode())) > max_text():
            return too_long(size)
        if not value.isascii():
            value.encode()
    except UnicodeEncodeError as error:
        code = f"\\u{ord(value[error.start]):04x}"
        return f"contains an unpaired surrogate ({code})", "write the surrogate pair in full"
    return None


def score_problem(value: object) -> Problem | None:
    """The problem of a value that must be a finite number."""
    if problem := absent(value):
        return problem
    if isinstance(value, str):
        return f"expected a number, got a string ({value!r:.40})", "write it without quotes"
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return f"expected a number, got {kind_of(value)}", "write it like 0.8"
    if isinstance(value, int):
        return ("is too large", "scale the scores") if abs(value) > 2**53 else None
    return None if isfinite(value) else (f"{value} is not finite", "give a finite number")
