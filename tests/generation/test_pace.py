"""Calls a minute, and stopping them all."""

from __future__ import annotations

import pytest

from nearfar.generation import _pace
from nearfar.generation._pace import Pace, StoppedError


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited for, on a clock that goes on by that."""
    now, found = [100.0], []
    monkeypatch.setattr(_pace.time, "monotonic", lambda: now[0])

    def pause(self: Pace, seconds: float) -> None:
        found.append(round(seconds, 6))
        now[0] += seconds

    monkeypatch.setattr(Pace, "pause", pause)
    return found


def test_calls_are_spaced_evenly(waits: list[float]) -> None:
    pace = Pace(30)
    for _ in range(4):
        pace.take()
    assert waits == [0, 2, 2, 2]


def test_time_that_passed_is_not_waited_again_and_not_saved_up(waits: list[float], monkeypatch) -> None:
    pace = Pace(60)
    pace.take()
    monkeypatch.setattr(_pace.time, "monotonic", lambda: 107.25)
    pace.take()
    pace.take()
    assert waits == [0, 0, 1]


def test_without_a_limit_nothing_is_waited_for(waits: list[float]) -> None:
    pace = Pace(0)
    for _ in range(3):
        pace.take()
    assert waits == [0, 0, 0]


def test_whoever_waits_is_stopped() -> None:
    pace = Pace(0)
    pace.pause(-1.0)
    pace.stop()
    for call in (pace.take, lambda: pace.pause(1000.0)):
        with pytest.raises(StoppedError):
            call()
