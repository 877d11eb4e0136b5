"""Turns in the order of their times."""

from __future__ import annotations

from nearfar.dialogue.formats.order import in_order, numbered_again
from nearfar.dialogue.formats.parts import Spoken


def spoken(*times: float | None) -> list[Spoken]:
    return [Spoken("Anna", str(number), number + 1, time=time) for number, time in enumerate(times)]


def order(*times: float | None) -> tuple[str, bool]:
    turns, note = in_order(spoken(*times))
    return "".join(turn.text for turn in turns), note is not None


def test_an_order_that_fits_stays_as_it_is() -> None:
    assert order(1, 2, 2, 3) == ("0123", False)
    assert order(None, None) == ("01", False)
    assert order() == ("", False)


def test_turns_are_sorted_and_those_without_a_time_stay_behind_the_one_before() -> None:
    assert order(1, 5, None, 3, None) == ("03412", True)
    turns, note = in_order(spoken(5, 1))
    assert note is not None
    assert str(turns[0].place) in note, "the first place that contradicts"


def test_times_that_begin_again_contradict_nothing() -> None:
    assert order(0, 5, 0, 6) == ("0123", True)
    assert order(1, 5, 2, 6) == ("0213", True), "the second part begins later than the first one"
    assert order(0, 5, 0) == ("021", True), "a part of one turn is no part"
    day = 86_400.0
    assert order(0, 5, 0, day) == ("0213", True), "a clock, not the time since the beginning"


def test_other_times() -> None:
    turns = numbered_again(spoken(5, 1), [0.0, 2.0])
    assert [(turn.text, turn.time) for turn in turns] == [("0", 0.0), ("1", 2.0)]
