"""Names of series beside their lines, so that a figure can be read without a legend."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from nearfar.reports._svg import Look, element, group
from nearfar.reports.figure import WIDE
from nearfar.reports.text import text_width

NAME_SIZE = 12
"""Size of names in pixels; the style sheet sets the same, in semi-bold."""
_LINE, _LEADER, _MOST = 16.0, 14.0, 8


def name_width(name: str) -> float:
    """Width in pixels of a name in semi-bold."""
    return 1.12 * text_width(name, NAME_SIZE)


def beside_width(names: Sequence[str], width: int) -> float:
    """Width in pixels that ``names`` need at the right end of lines; 0 if they do not fit, or there is only one."""
    if not 1 < len(names) <= _MOST:
        return 0.0
    needed = max(map(name_width, names)) + _LEADER + 4
    return needed if needed <= (0.3 if width >= WIDE else 0.34) * width else 0.0


def beside(
    names: Sequence[str], ends: Sequence[tuple[float, float]], right: float, top: float, bottom: float
) -> Markup:
    """Each name near the height where its line ends, without overlap, and connected to that end by a thin line.

    Args:
        names: One per line.
        ends: The end of each line, as pixel column and row.
        right: The pixel column where the connections end.
        top, bottom: First and last pixel row for names.
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
    """Positions near the ascending ``wanted`` ones with distances of at least ``least``, in [low, high] if they fit."""
    places = list(wanted)
    for i in range(len(places)):
        places[i] = max(places[i], places[i - 1] + least if i else low)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], places[i + 1] - least if i + 1 < len(places) else high)
    return places
