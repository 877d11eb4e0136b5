"""Names of series beside their marks, so that a figure is read without going back and forth to a legend."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from nearfar.reports._svg import Look, element, group
from nearfar.reports.text import text_width
from nearfar.reports.figure import WIDE

NAME_SIZE = 12
"""Size of names in pixels; the style sheet sets the same, in semi-bold."""
_LINE, _LEADER, _MOST = 16.0, 14.0, 8


def name_width(name: str) -> float:
    """Width in pixels of a name, which is set in semi-bold."""
    return 1.12 * text_width(name, NAME_SIZE)


def beside_width(names: Sequence[str], width: int) -> float:
    """Room in pixels that ``names`` take at the right end of lines; 0 where there is not enough of it."""
    if not 1 < len(names) <= _MOST:
        return 0.0
    needed = max(map(name_width, names)) + _LEADER + 4
    return needed if needed <= (0.3 if width >= WIDE else 0.34) * width else 0.0


def beside(
    names: Sequence[str], ends: Sequence[tuple[float, float]], right: float, top: float, bottom: float
) -> Markup:
    """Each name at the height where its line ends, moved apart, with a thin line to that end.

    Args:
        names: One a line.
        ends: The pixel where each line ends.
        right: The pixel column after which names stand.
        top, bottom: The pixel rows between which they stay.
    """
    order = sorted(range(len(names)), key=lambda i: ends[i][1])
    heights = apart([ends[i][1] for i in order], _LINE, top + 4, bottom)
    parts = []
    for i, y in zip(order, heights, strict=True):
        x, end = ends[i]
        leader = element("path", d=f"M{x + 5:.1f} {end:.1f}L{right + 2:.1f} {y:.1f}h6", class_="leader")
        name = element("text", names[i], x=right + _LEADER, y=y + 4, class_="series")
        parts.append(group([leader, name], class_=Look(i).css))
    return group(parts)


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places near the ascending ``wanted`` ones, ``least`` or more apart, between ``low`` and ``high`` if they fit."""
    places = list(wanted)
    for i in range(len(places)):
        places[i] = max(places[i], places[i - 1] + least if i else low)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], places[i + 1] - least if i + 1 < len(places) else high)
    return places
