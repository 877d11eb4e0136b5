"""Turns in the order of their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from nearfar.data.times import DAY
from nearfar.dialogue.formats.parts import Spoken


def in_order(turns: list[Spoken]) -> tuple[list[Spoken], str | None]:
    """The turns sorted by their times where these contradict the order of the file, and a note that says so.

    Turns without a time stay behind the one before them. Times that begin again, as in the second part of a
    recording, contradict nothing.
    """
    times: list[float] = []
    for turn in turns:
        times.append(turn.time if turn.time is not None else times[-1] if times else float("-inf"))
    falls = [number for number in range(1, len(times)) if times[number] < times[number - 1]]
    if not falls:
        return turns, None
    if _begins_again(times, falls):
        return turns, f"the times begin again at place {turns[falls[0]].place}; the order of the file was kept"
    order = sorted(range(len(turns)), key=times.__getitem__)
    first = turns[falls[0]].place
    return [
        turns[number] for number in order
    ], f"the times contradict the order (first at place {first}); sorted by them"


def _begins_again(times: list[float], falls: list[int]) -> bool:
    bounds = [0, *falls, len(times)]
    parts = [times[a:b] for a, b in pairwise(bounds)]
    return all(len(part) > 1 for part in parts) and all(part[0] <= times[0] for part in parts[1:]) and times[-1] < DAY


def numbered_again(turns: list[Spoken], times: Sequence[float]) -> list[Spoken]:
    """The turns with these times."""
    return [replace(turn, time=time) for turn, time in zip(turns, times, strict=True)]
