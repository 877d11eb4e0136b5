"""From values to checked Arrow columns. Arrow looks at whole blocks; Python looks for the culprit once one fails."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

import pyarrow as pa
import pyarrow.compute

from nearfar.data import _empty_turns
from nearfar.data._blocks import Missing, Source
from nearfar.data._json import kind_of

pc: Any = pyarrow.compute  # its functions come into being at import, where a type checker cannot see them

TEXT = pa.string()
TEXTS = pa.list_(TEXT)
TURN = pa.struct([("speaker", TEXT), ("text", TEXT), ("acts", TEXTS), ("slots", TEXTS)])

_GIVE_ALL, _FILL = "every row needs it", "fill it, or leave the row out"
_Problem = tuple[str, str]  # what is wrong, what to do


class _Fail(Protocol):
    def __call__(self, index: int, problem: _Problem, inside: str = "") -> NoReturn: ...


class Column:
    """One column of a table, checked and converted a block at a time.

    Args:
        name: Its canonical name, which decides what its values must be.
        field: Its name in the file, for messages.
        of_turn: Each row is a turn of a dialogue.
    """

    def __init__(self, name: str, field: str, *, of_turn: bool = False) -> None:
        self.name, self.field, self.of_turn = name, field, of_turn
        self.type: pa.DataType | None = None

    def check(self, source: Source, values: Any, places: Sequence[int]) -> pa.Array:
        """Return a block's values as an Arrow array of this column's type, the same for every block.

        Args:
            source: Where the values come from.
            values: A list of Python values, or an Arrow array.
            places: The line or row of each.

        Raises:
            InputError: At the first value that will not do.
        """
        fail = self._failure(source, places)
        if self.name == "score":
            array = _scores(values if source.typed else _numbers(values, fail), fail)
        elif self.name in ("label", "domain", "dialogue_id"):
            array = self._labels(values, fail)
        elif self.name in ("turns", "rationales", "acts", "slots", "candidates", "labels"):
            array = _nested(self.name, values, fail)
        elif self.name == "scores":
            array = _score_lists(values, fail)
        elif self.name in ("image", "audio") and isinstance(values, pa.Array) and pa.types.is_struct(values.type):
            array = _no_nulls(values, fail)  # a decoded Image or Audio column of the hub
        elif self.name in ("image", "audio"):
            array = _beside(source.file, _texts(values, fail))
        else:
            array = _texts(values, fail)
        self.type = array.type
        return array

    def _failure(self, source: Source, places: Sequence[int]) -> _Fail:
        def fail(index: int, problem: _Problem, inside: str = "") -> NoReturn:
            problem = _of_turn(problem) if self.of_turn and self.name == "text" else problem
            source.fail(places[index], problem[0], field=self.field + inside, remedy=problem[1])

        return fail

    def _labels(self, values: Any, fail: _Fail) -> pa.Array:
        """All texts or all whole numbers, in the whole file; the first row decides."""
        if isinstance(values, pa.Array) and pa.types.is_signed_integer(values.type) and self.type != TEXT:
            return _no_nulls(values, fail).cast(pa.int64())
        values = _listed(values)
        first = values[0]
        whole = isinstance(first, int) and not isinstance(first, bool) if self.type is None else self.type != TEXT
        if not whole and (self.type is not None or isinstance(first, str)):
            mixed = next((i for i, v in enumerate(values) if isinstance(v, int) and not isinstance(v, bool)), None)
            if mixed is None or any(_text_problem(value) for value in values[:mixed]):
                return _texts(values, fail)
            fail(mixed, ("a number where the rows before have texts", "write all as texts or all as numbers"))
        for index, value in enumerate(values):
            if problem := _whole_problem(value, whole):
                fail(index, problem)
        return pa.array(values, pa.int64())


def _listed(values: Any) -> list[Any]:
    return values.to_pylist() if isinstance(values, pa.Array) else values


def _first_bad(values: Any, problem_of: Callable[[object], _Problem | None], fail: _Fail) -> None:
    for index, value in enumerate(_listed(values)):
        if problem := problem_of(value):
            fail(index, problem)


def _no_nulls(values: pa.Array, fail: _Fail) -> pa.Array:
    if values.null_count:
        fail(pc.index(pc.is_null(values), True).as_py(), ("is null", _GIVE_ALL))
    return values


def _texts(values: Any, fail: _Fail) -> pa.Array:
    try:
        if isinstance(values, pa.Array):
            if pa.types.is_dictionary(values.type):
                values = values.cast(values.type.value_type)
            if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
                raise pa.ArrowTypeError
            array = _utf8(values.cast(TEXT), fail)
        else:
            array = pa.array(values, TEXT)
    except (pa.ArrowException, UnicodeEncodeError):
        _first_bad(values, _text_problem, fail)
        raise
    _no_nulls(array, fail)
    blank = pc.or_(pc.equal(pc.binary_length(array), 0), pc.utf8_is_space(array))
    if (index := pc.index(blank, True).as_py()) >= 0:
        fail(index, _blank(array[index].as_py()))
    return array


def _beside(file: str, paths: pa.Array) -> pa.Array:
    """Paths that a file names, from where it lies itself."""
    if not os.path.isfile(file):
        return paths
    folder = os.path.dirname(file)
    return pa.array([os.path.join(folder, path) if "://" not in path else path for path in paths.to_pylist()], TEXT)


def _utf8(array: pa.Array, fail: _Fail) -> pa.Array:
    """Let through an array of texts whose bytes are UTF-8, which Arrow takes on trust when it reads a file."""
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


def _blank(text: str) -> _Problem:
    return ("holds only white space" if text else "is empty"), _FILL


def _of_turn(problem: _Problem) -> _Problem:
    """The same of a turn's text: turns that say nothing are common in logs, and can be left out."""
    return problem[0], _empty_turns.REMEDY if problem[1] in (_GIVE_ALL, _FILL) else problem[1]


def _absent(value: object) -> _Problem | None:
    if isinstance(value, Missing):
        return "is missing", _GIVE_ALL
    return ("is null", _GIVE_ALL) if value is None else None


def _text_problem(value: object) -> _Problem | None:
    if problem := _absent(value):
        return problem
    if not isinstance(value, str):
        remedy = "write it in quotes" if isinstance(value, int | float) else "give one text a row"
        return f"{kind_of(value)} where a text is due", remedy
    if not value or value.isspace():
        return _blank(value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"holds half a character (\\u{ord(value[error.start]):04x})", "write the surrogate pair in full"
    return None


def _whole_problem(value: object, whole: bool) -> _Problem | None:
    if problem := _absent(value):
        return problem
    if whole and isinstance(value, str):
        return "a text where the rows before have numbers", "write all as texts or all as numbers"
    if isinstance(value, bool):
        return "a boolean where a text or a whole number is due", "write 0 or 1"
    if not isinstance(value, int):
        return f"{kind_of(value)} ({value!r:.40}) where a text or a whole number is due", "write 3, not 3.0"
    return ("is too large", "use numbers of 64 bits, or texts") if not -(2**63) <= value < 2**63 else None


def _numbers(values: list[str], fail: _Fail) -> pa.Array:
    """Read the numbers of a column of texts, as programs write them: no thousands, a point for the decimals."""
    trimmed = pc.utf8_trim_whitespace(pa.array(values, TEXT))
    try:
        return trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        for index, value in enumerate(trimmed.to_pylist()):
            try:
                pa.scalar(value).cast(pa.float64())
            except pa.ArrowInvalid:
                fail(index, (f"{value!r:.40} is not a number" if value else "is empty", "write it like 0.8"))
        raise


def _scores(values: Any, fail: _Fail) -> pa.Array:
    try:
        if isinstance(values, pa.Array):
            if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
                raise pa.ArrowTypeError
            array = values.cast(pa.float64())
        else:
            if not set(map(type, values)) <= {int, float}:  # Arrow would take a boolean for 0 or 1
                raise pa.ArrowTypeError
            array = pa.array(values, pa.float64())
    except (pa.ArrowException, OverflowError):
        _first_bad(values, _score_problem, fail)
        raise
    _no_nulls(array, fail)
    if (index := pc.index(pc.is_finite(array), False).as_py()) >= 0:
        fail(index, (f"{array[index].as_py()} is not finite", "give a finite number"))
    return array


def _score_lists(values: Any, fail: _Fail) -> pa.Array:
    """A list of finite numbers in each row."""
    rows = _listed(values)
    for index, value in enumerate(rows):
        if problem := _absent(value):
            fail(index, problem)
        if not isinstance(value, list):
            fail(index, (f"expected a list of numbers, got {kind_of(value)}", "write [1, 0.5, 0]"))
        if not value:
            fail(index, ("is an empty list", _FILL))
        for at, score in enumerate(value):
            if problem := _score_problem(score):
                fail(index, problem, f"[{at}]")
            if not math.isfinite(score):
                fail(index, (f"{score} is not finite", "give a finite number"), f"[{at}]")
    return pa.array(rows, pa.list_(pa.float64()))


def _score_problem(value: object) -> _Problem | None:
    if problem := _absent(value):
        return problem
    if isinstance(value, str):
        return f"a text ({value!r:.40}) where a number is due", "write it without quotes"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{kind_of(value)} where a number is due", "write it like 0.8"
    return ("is too large", "scale the scores") if isinstance(value, int) and abs(value) > 2**53 else None


def _nested(name: str, values: Any, fail: _Fail) -> pa.Array:
    if name == "turns":
        rows = [_turns(value, index, fail) for index, value in enumerate(_listed(values))]
        return pa.array(rows, pa.list_(TURN))
    optional = name in ("acts", "slots")
    return pa.array([_words(value, index, fail, "", optional) for index, value in enumerate(_listed(values))], TEXTS)


def _turns(value: object, index: int, fail: _Fail) -> list[dict[str, object]]:
    if problem := _absent(value):
        fail(index, problem)
    if not isinstance(value, list):
        fail(index, (f"{kind_of(value)} where a list of turns is due", 'write [{"speaker": "...", "text": "..."}]'))
    if not value:
        fail(index, ("is an empty list", "leave the dialogue out, or give it turns"))
    turns = []
    for at, turn in enumerate(value):
        inside = f"[{at}]"
        if not isinstance(turn, dict):
            fail(index, (f"{kind_of(turn)} where a turn is due", 'write {"speaker": "...", "text": "..."}'), inside)
        texts = {key: turn.get(key, Missing()) for key in ("speaker", "text")}
        for key, text in texts.items():
            if problem := _text_problem(text):
                fail(index, _of_turn(problem) if key == "text" else problem, f"{inside}.{key}")
        words = {key: _words(turn.get(key), index, fail, f"{inside}.{key}", True) for key in ("acts", "slots")}
        turns.append({**texts, **words})
    return turns


def _words(value: object, index: int, fail: _Fail, inside: str, optional: bool) -> list[str] | None:
    """Return a list of texts; a text alone stands for a list of one."""
    if optional and (value is None or value == "" or isinstance(value, Missing)):
        return None
    if isinstance(value, str):
        value = [value]
    if problem := _absent(value):
        fail(index, problem, inside)
    if not isinstance(value, list):
        fail(index, (f"{kind_of(value)} where a list of texts is due", 'write ["...", "..."]'), inside)
    if not value and not optional:
        fail(index, ("is an empty list", "fill it, or leave the row out"), inside)
    for at, text in enumerate(value):
        if problem := _text_problem(text):
            fail(index, problem, f"{inside}[{at}]")
    return value
