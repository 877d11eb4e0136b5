"""Checks of columns of lists: texts, scores, rationales, and the turns of dialogues."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow as pa
import pyarrow.compute

from nearfar.data._blocks import Missing
from nearfar.data._empty_turns import REMEDY
from nearfar.data._json import kind_of
from nearfar.data._values import (
    FILL,
    GIVE_ALL,
    INVISIBLE,
    TEXT,
    Fail,
    Problem,
    absent,
    listed,
    score_problem,
    text_problem,
)
from nearfar.data.limits import max_text
from nearfar.data.times import order_of, stating_order

pc: Any = pyarrow.compute  # its functions are created at import, where a type checker cannot see them

TEXTS = pa.list_(TEXT)
TURN = pa.struct([("speaker", TEXT), ("text", TEXT), ("acts", TEXTS), ("slots", TEXTS)])
FRAMES = pa.list_(TEXTS)
TURN_WITH_FRAMES = pa.struct([*TURN, ("frames", FRAMES)])
RATIONALE = pa.struct([("text", TEXT), ("answer", TEXT)])

_OPTIONAL = ("acts", "slots")
#: Of dialogues and turns with domains.
_DOMAIN = "domain"
_MAY_BE_EMPTY = ("labels", *_OPTIONAL, _DOMAIN)
_A_TEXT_IS_A_LIST = ("rationales", *_OPTIONAL, _DOMAIN)


def text_lists(name: str, values: Any, fail: Fail, known: pa.DataType | None) -> pa.Array:
    """Check lists of texts; `rationales` may be lists of {text, answer}, in all rows alike.

    Args:
        name: The column. `acts`, `slots` and `domain` may be null or empty, `labels` may be empty. In these three and
            in `rationales`, a text alone is a list of one.
        values: A list of Python values, or an Arrow array.
        fail: Raises the error of a row.
        known: The type of earlier blocks; None for the first.
    """
    optional, empty = name in (*_OPTIONAL, _DOMAIN), name in _MAY_BE_EMPTY
    if known in (None, TEXTS) and (array := _accepted(values, optional, empty)) is not None:
        return array
    rows = listed(values)
    if name == "rationales" and (known or _rationale_type(rows)) != TEXTS:
        return pa.array([_rationales(value, index, fail) for index, value in enumerate(rows)], pa.list_(RATIONALE))
    if name not in _A_TEXT_IS_A_LIST:
        for index, value in enumerate(rows):
            if isinstance(value, str):
                fail(index, ("expected a list of strings, got a string", 'write ["...", "..."]'))
    return pa.array([_texts(value, index, fail, "", optional, empty) for index, value in enumerate(rows)], TEXTS)


def score_lists(values: Any, fail: Fail) -> pa.Array:
    """Check lists of finite numbers."""
    rows = []
    for index, value in enumerate(listed(values)):
        numbers = _list(value, index, fail, "a list of numbers", "write [0.8, 0.2]")
        for at, number in enumerate(numbers):
            if problem := score_problem(number):
                fail(index, problem, f"[{at}]")
        rows.append([float(number) for number in numbers])
    return pa.array(rows, pa.list_(pa.float64()))


def frame_lists(values: Any, fail: Fail) -> pa.Array:
    """Check lists of frames; a frame is a list of act, slot and value, of which the last two may be empty."""
    return pa.array([_frames(value, index, fail, "") for index, value in enumerate(listed(values))], FRAMES)


def turn_lists(values: Any, fail: Fail, file: str, *, frames: bool = False) -> pa.Array:
    """Check the turns of dialogues; keys other than speaker, text, acts, slots (and frames) are dropped.

    Turns whose `turn_id` or time contradicts their order are sorted by it, and a warning says so.
    """
    rows, sorted_ = [], 0
    for index, value in enumerate(listed(values)):
        turns = _turns(value, index, fail, frames)
        order = _stated_order(value)
        if order is not None:
            turns = [turns[number] for number in order]
            sorted_ += 1
        rows.append(turns)
    if sorted_:
        text = "%s: turns of %s were not in the order of their turn_id or time; sorted by it"
        what = "1 dialogue" if sorted_ == 1 else f"{sorted_:,} dialogues"
        logging.getLogger(__name__).warning(text, file, what)
    return pa.array(rows, pa.list_(TURN_WITH_FRAMES if frames else TURN))


def _stated_order(turns: list[dict[str, object]]) -> list[int] | None:
    """The order that the keys of turns state, if it is not theirs."""
    keys = stating_order(key for key in turns[0] if all(key in turn for turn in turns)) if turns else {}
    for key in keys.values():
        values = [turn[key] for turn in turns]
        numbers = order_of(
            [None if value is None or isinstance(value, list | dict) else str(value) for value in values]
        )
        if numbers is not None:
            order = sorted(range(len(turns)), key=numbers.__getitem__)
            return order if order != list(range(len(turns))) else None
    return None


def of_turn(problem: Problem) -> Problem:
    """The same problem in the text of a turn: turns without a text are common in logs, and can be skipped."""
    return problem[0], REMEDY if problem[1] in (GIVE_ALL, FILL) else problem[1]


def _accepted(values: Any, optional: bool, empty: bool) -> pa.Array | None:
    """Arrow's lists of strings, if they contain nothing that is wrong; None if values must be checked one by one."""
    if not isinstance(values, pa.Array) or values.type not in (TEXTS, pa.large_list(TEXT)):
        return None
    texts = values.flatten()  # pyright: ignore[reportAttributeAccessIssue]
    if not optional and values.null_count:
        return None
    if not empty and not pc.all(pc.greater(pc.list_value_length(values), 0)).as_py():
        return None
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return None
    if len(texts) and (pc.max(pc.binary_length(texts)).as_py() or 0) > max_text():
        return None
    if texts.null_count or pc.any(pc.match_substring_regex(texts, INVISIBLE)).as_py():
        return None
    return values.cast(TEXTS)


def _rationale_type(rows: list[Any]) -> pa.DataType:
    """The type that the first rationale has."""
    first = next((item for row in rows if isinstance(row, list) for item in row), None)
    return pa.list_(RATIONALE) if isinstance(first, dict) else TEXTS


def _list(value: object, index: int, fail: Fail, expected: str, example: str, inside: str = "") -> list[Any]:
    if problem := absent(value):
        fail(index, problem, inside)
    if not isinstance(value, list):
        fail(index, (f"expected {expected}, got {kind_of(value)}", example), inside)
    if not value:
        fail(index, ("is an empty list", FILL), inside)
    return value


def _texts(value: object, index: int, fail: Fail, inside: str, optional: bool, empty: bool) -> list[str] | None:
    if optional and (value is None or value == "" or isinstance(value, Missing)):
        return None
    if isinstance(value, str):
        value = [value]
    if empty and value == []:
        return []
    texts = _list(value, index, fail, "a list of strings", 'write ["...", "..."]', inside)
    for at, text in enumerate(texts):
        if problem := text_problem(text):
            fail(index, problem, f"{inside}[{at}]")
    return texts


def _rationales(value: object, index: int, fail: Fail) -> list[dict[str, Any]]:
    items = _list(value, index, fail, "a list of objects", 'write [{"text": "...", "answer": "..."}]')
    found = []
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            problem = f"expected an object as in earlier rationales, got {kind_of(item)}"
            fail(index, (problem, "use {text, answer} for all rationales, or strings for all"), f"[{at}]")
        for key in ("text", "answer"):
            if problem := text_problem(item.get(key, Missing())):
                fail(index, problem, f"[{at}].{key}")
        found.append({"text": item["text"], "answer": item["answer"]})
    return found


def _frames(value: object, index: int, fail: Fail, inside: str) -> list[list[str]] | None:
    if value is None or isinstance(value, Missing):
        return None
    example = 'write [["inform", "city", "Bern"]]'
    frames = [] if value == [] else _list(value, index, fail, "a list of frames", example, inside)
    for at, frame in enumerate(frames):
        place = f"{inside}[{at}]"
        parts = _list(frame, index, fail, "a list of act, slot and value", example, place)
        if len(parts) > 3:
            fail(index, (f"expected act, slot and value, got {len(parts)} items", example), place)
        for number, part in enumerate(parts):
            if (part != "" or not number) and (problem := text_problem(part)):
                fail(index, problem, f"{place}[{number}]")
    return frames


def _turns(value: object, index: int, fail: Fail, frames: bool) -> list[dict[str, object]]:
    items = _list(value, index, fail, "a list of turns", 'write [{"speaker": "...", "text": "..."}]')
    turns = []
    for at, turn in enumerate(items):
        inside = f"[{at}]"
        if not isinstance(turn, dict):
            fail(index, (f"expected an object, got {kind_of(turn)}", 'write {"speaker": "...", "text": "..."}'), inside)
        texts = {key: turn.get(key, Missing()) for key in ("speaker", "text")}
        for key, text in texts.items():
            if problem := text_problem(text):
                fail(index, of_turn(problem) if key == "text" else problem, f"{inside}.{key}")
        words = {key: _texts(turn.get(key), index, fail, f"{inside}.{key}", True, True) for key in _OPTIONAL}
        found = {"frames": _frames(turn.get("frames"), index, fail, f"{inside}.frames")} if frames else {}
        turns.append({**texts, **words, **found})
    return turns
