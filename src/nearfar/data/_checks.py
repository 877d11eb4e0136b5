"""From values to checked Arrow columns. Arrow checks whole blocks; if a block fails, Python finds the wrong value."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute

from nearfar.data._blocks import Source
from nearfar.data._json import kind_of
from nearfar.data._list_checks import frame_lists, of_turn, score_lists, text_lists, turn_lists
from nearfar.data._part_checks import part_lists
from nearfar.data._unfolding import FOLDED
from nearfar.data._values import (
    GIVE_ALL,
    INVISIBLE,
    ONE_PER_ROW,
    TEXT,
    Fail,
    Problem,
    absent,
    as_text,
    blank,
    first_bad,
    is_text,
    listed,
    score_problem,
    text_problem,
)
from nearfar.data.limits import max_text, too_long

pc: Any = pyarrow.compute  # its functions are created at import, where a type checker cannot see them


class Column:
    """One column of a table, checked and converted block by block.

    Args:
        name: Its canonical name, which determines what its values must be.
        field: Its name in the file, for messages.
        schema: The schema of the table.
    """

    def __init__(self, name: str, field: str, *, schema: str) -> None:
        self.name, self.field, self.schema = name, field, schema
        self.type: pa.DataType | None = None

    def check(self, source: Source, values: Any, places: Sequence[int]) -> pa.Array:
        """Return the values of a block as an Arrow array of this column's type, the same for every block.

        Args:
            source: The file.
            values: A list of Python values, or an Arrow array.
            places: The line or row of each.

        Raises:
            InputError: At the first wrong value.
        """
        fail = self._failure(source, places)
        try:
            array = self._checked(source, values, fail)
        except pa.ArrowException as error:
            # No value alone is wrong: the column has a type that cannot be read as what it must be.
            kind = f" of Arrow type {values.type}" if isinstance(values, pa.Array) else ""
            problem = f"a column{kind} cannot be read as {_WANTED.get(self.name, 'texts')} ({error!s:.80})"
            source.fail(places[0], problem, field=self.field, remedy="convert it before it is written")
        self.type = array.type
        return array

    def _checked(self, source: Source, values: Any, fail: Fail) -> pa.Array:
        if self.name == "score":
            array = _scores(values if source.typed else _numbers(values, fail), fail)
        elif self.name == "domain" and self.schema in ("domain dialogues", "domain turns"):
            array = text_lists(self.name, values, fail, self.type)
        elif self.name in ("label", "domain", "dialogue_id", "task", "document"):
            array = self._labels(values, fail)
        elif self.name == "turns":
            array = turn_lists(values, fail, source.file, frames=self.schema == "domain dialogues")
        elif self.name == "frames":
            array = frame_lists(values, fail)
        elif self.name in FOLDED and _is_written_list(values[0]):
            fail(0, ("contains a list written as text", "write the rows as .jsonl, or one text per column"))
        elif self.name in FOLDED and self._of_lists(values):
            array = text_lists(self.name, values, fail, self.type)
        elif self.name in ("turn_id", "time", "date"):
            array = _states_of_order(values)
        elif self.name in ("scores", "attributes"):
            array = score_lists(values, fail)
        elif self.name == "parts":
            array = part_lists(values, fail, _joiner(source.file))
        elif self.name in _TEXT_LISTS:
            array = text_lists(self.name, values, fail, self.type)
        elif self.name in ("image", "audio") and isinstance(values, pa.Array) and pa.types.is_struct(values.type):
            array = _no_nulls(values, fail)  # a decodable Image or Audio column from the hub
        elif self.name in ("image", "audio"):
            array = _joined(source.file, _texts(values, fail))
        else:
            array = _texts(values, fail)
        return array

    def _of_lists(self, values: Any) -> bool:
        """Whether this column, which may also contain one text per row, contains lists; the first row decides."""
        if self.type is not None:
            return pa.types.is_list(self.type)
        if isinstance(values, pa.Array):
            return pa.types.is_nested(values.type)
        return isinstance(values[0], list)

    def _failure(self, source: Source, places: Sequence[int]) -> Fail:
        def fail(index: int, problem: Problem, inside: str = "") -> Any:
            what, remedy = (
                of_turn(problem) if self.schema in ("turns", "domain turns") and self.name == "text" else problem
            )
            if remedy == ONE_PER_ROW and self.schema in ("pairs", "domain pairs"):
                remedy = _LISTS_OF_PAIRS.get(self.name, "use columns negative_1, negative_2, ... for several negatives")
            source.fail(places[index], what, field=self.field + inside, remedy=remedy)

        return fail

    def _labels(self, values: Any, fail: Fail) -> pa.Array:
        """All strings or all integers in the whole file; the first row decides."""
        if isinstance(values, pa.Array) and pa.types.is_decimal(values.type) and values.type.scale == 0:  # pyright: ignore[reportAttributeAccessIssue]
            values = [value if value is None else int(value) for value in values.to_pylist()]
        if isinstance(values, pa.Array) and pa.types.is_signed_integer(values.type) and self.type != TEXT:
            return _no_nulls(values, fail).cast(pa.int64())
        if isinstance(values, pa.Array) and is_text(values.type) and self.type in (None, TEXT):
            return _texts(values, fail)
        values = listed(values)
        first = values[0]
        whole = isinstance(first, int) and not isinstance(first, bool) if self.type is None else self.type != TEXT
        if not whole and (self.type is not None or isinstance(first, str)):
            mixed = next((i for i, v in enumerate(values) if isinstance(v, int) and not isinstance(v, bool)), None)
            if mixed is None or any(text_problem(value) for value in values[:mixed]):
                return _texts(values, fail)
            fail(mixed, ("expected a string as in earlier rows, got a number", _ALL_ALIKE))
        for index, value in enumerate(values):
            if problem := _whole_problem(value, whole):
                fail(index, problem)
        return pa.array(values, pa.int64())


def check_lengths(source: Source, arrays: Mapping[str, pa.Array], places: Sequence[int]) -> None:
    """Check that every row has one score per candidate.

    Raises:
        InputError: At the first row that has not.
    """
    if "candidates" not in arrays or "scores" not in arrays:
        return
    wanted, found = (pc.list_value_length(arrays[name]) for name in ("candidates", "scores"))
    if (index := pc.index(pc.equal(wanted, found), False).as_py()) >= 0:
        problem = f"expected one score per candidate ({wanted[index]}), got {found[index]}"
        source.fail(places[index], problem, field="scores", remedy="give both lists the same length")


#: Columns of lists of texts.
_TEXT_LISTS = ("rationales", "candidates", "labels", "acts", "slots")
_TEXT_LISTS += ("correct_answers", "incorrect_answers", "contradictions")
#: What the values of a column must be, in words, where they are not texts.
_WANTED = {
    "score": "numbers",
    "scores": "lists of numbers",
    "attributes": "lists of numbers",
    "turns": "lists of turns",
    "frames": "lists of frames",
    "parts": "lists of texts and images",
    **dict.fromkeys(_TEXT_LISTS, "lists of texts"),
    **dict.fromkeys(("label", "domain", "dialogue_id", "task", "document"), "texts or integers"),
}
#: Where a list of texts may go that is in a column of pairs which takes one text.
_LISTS_OF_PAIRS = {"anchor": "give one text per row", "negative": "give a list in all rows, or in none"}
_LISTS_OF_PAIRS["positive"] = _LISTS_OF_PAIRS["negative"]
_ALL_ALIKE = "use strings in all rows, or numbers in all"


def _no_nulls(values: pa.Array, fail: Fail) -> pa.Array:
    if values.null_count:
        fail(pc.index(pc.is_null(values), True).as_py(), ("is null", GIVE_ALL))
    return values


def _texts(values: Any, fail: Fail) -> pa.Array:
    try:
        array = _utf8(as_text(values), fail) if isinstance(values, pa.Array) else pa.array(values, TEXT)
    except (pa.ArrowException, UnicodeEncodeError):
        first_bad(values, text_problem, fail)
        raise
    _no_nulls(array, fail)
    lengths = pc.binary_length(array)
    empty = pc.match_substring_regex(array, INVISIBLE)
    if (index := pc.index(empty, True).as_py()) >= 0:
        fail(index, blank(array[index].as_py()))
    if len(array) and (pc.max(lengths).as_py() or 0) > max_text():
        index = pc.index(pc.greater(lengths, max_text()), True).as_py()
        fail(index, too_long(lengths[index].as_py()))
    return array


def _is_written_list(value: Any) -> bool:
    """Whether a text is a list of texts as Python or JSON write it, such as "['a', 'b']"."""
    text = value.as_py() if isinstance(value, pa.Scalar) else value
    text = text.strip() if isinstance(text, str) else ""
    if not (text.startswith(("['", '["')) and text.endswith(("']", '"]'))):
        return False
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(found, list) and all(isinstance(item, str) for item in found)


def _states_of_order(values: Any) -> pa.Array:
    """Numbers, times or names of turns as texts, null where there is none: they only tell the order."""
    if isinstance(values, pa.Array):
        try:
            return values.cast(TEXT)
        except pa.ArrowException:
            values = values.to_pylist()
    return pa.array([str(value) if isinstance(value, str | int | float) else None for value in values], TEXT)


def _joined(file: str, paths: pa.Array) -> pa.Array:
    """Relative paths in a file, joined to the folder of the file."""
    joined = _joiner(file)
    return pa.array([joined(path) for path in paths.to_pylist()], TEXT)


def _joiner(file: str) -> Callable[[str], str]:
    """From a path in a file to one that can be opened from here."""
    folder = os.path.dirname(file) if os.path.isfile(file) else ""
    return lambda path: path if "://" in path else os.path.join(folder, path)


def _utf8(array: pa.Array, fail: Fail) -> pa.Array:
    """Check that strings are UTF-8; Arrow does not check this when it reads a file."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        for index, text in enumerate(array):
            try:
                text.as_py()
            except UnicodeDecodeError:
                fail(index, ("is not UTF-8", "write the column as UTF-8 text"))
        raise
    return array


def _whole_problem(value: object, whole: bool) -> Problem | None:
    if problem := absent(value):
        return problem
    if whole and isinstance(value, str):
        return "expected a number as in earlier rows, got a string", _ALL_ALIKE
    if isinstance(value, bool):
        return "expected a string or an integer, got a boolean", "write 0 or 1"
    if not isinstance(value, int):
        remedy = "write 3, not 3.0" if isinstance(value, float | Decimal) else "write the column as text"
        return f"expected a string or an integer, got {kind_of(value)} ({value!s:.40})", remedy
    return ("is too large", "use 64-bit integers, or strings") if not -(2**63) <= value < 2**63 else None


def _numbers(values: Any, fail: Fail) -> pa.Array:
    """Parse numbers as programs write them: no thousands separators, a decimal point."""
    trimmed = pc.utf8_trim_whitespace(values if isinstance(values, pa.Array) else pa.array(values, TEXT))
    try:
        return trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        for index, value in enumerate(trimmed.to_pylist()):
            try:
                pa.scalar(value).cast(pa.float64())
            except pa.ArrowInvalid:
                fail(index, (f"expected a number, got {value!r:.40}" if value else "is empty", "write it like 0.8"))
        raise


def _scores(values: Any, fail: Fail) -> pa.Array:
    try:
        if isinstance(values, pa.Array):
            if pa.types.is_dictionary(values.type):
                values = values.cast(values.type.value_type)
            kind = values.type
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
                raise pa.ArrowTypeError("expected numbers")
            array = values.cast(pa.float64())
        else:
            if not set(map(type, values)) <= {int, float}:  # Arrow would convert booleans to 0 and 1
                raise pa.ArrowTypeError("expected numbers")
            array = pa.array(values, pa.float64())
    except (pa.ArrowException, OverflowError):
        first_bad(values, score_problem, fail)
        raise
    _no_nulls(array, fail)
    if (index := pc.index(pc.is_finite(array), False).as_py()) >= 0:
        fail(index, (f"{array[index].as_py()} is not finite", "give a finite number"))
    return array
