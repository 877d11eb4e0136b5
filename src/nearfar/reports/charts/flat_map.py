"""A map: points on which neither axis means anything, one scale for both, each with its text under the pointer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import Axis
from nearfar.reports._frame import Frame
from nearfar.reports._svg import COLOURS, MAX_SERIES, Look, canvas, group
from nearfar.reports.text import plain
from nearfar.reports.charts.scatter import MOST, Point, checked, dots, group_names, thinned_groups
from nearfar.reports.figure import WIDE, Figure, compose, marker_swatch
from nearfar.reports.tables import thinned

_MARGIN = 10.0
_LOOKS = [Look(i) for i in range(MAX_SERIES) if i % COLOURS != COLOURS - 1]
"""All looks but those in grey, the last colour."""
_GREY = Look(COLOURS - 1)
#: Dots up to which each is large, and from which each is small.
_FEW, _MANY = 300, 1500


def flat_map(
    series: Mapping[str, Iterable[Point]],
    *,
    title: str,
    caption: str = "",
    rest: str | None = None,
    most: int = MOST,
) -> Figure:
    """A dot for each (x, y, text), with the names of groups in their middles and without axes.

    Args:
        series: For each group's name its points with the text that the pointer brings up.
        title: What the figure shows.
        caption: How to read the figure.
        rest: The group that is no group: in pale grey behind the others, and without a name on the map.
        most: Dots to draw, as for ``scatter``.

    Raises:
        ValueError: There is no group, one has no points, there are too many, or a number is not finite.
    """
    where = f"flat_map {title!r}"
    _check.some(series, f"{where}: series", most=len(_LOOKS))
    groups = {name: checked(points, f"{where}: series {name!r}") for name, points in series.items()}
    others = {name: points for name, points in groups.items() if name != rest}
    looks = dict(zip(others, _LOOKS, strict=False)) | ({} if rest is None else {rest: _GREY})
    drawn, caption = thinned_groups(groups, most, caption)
    count = sum(map(len, drawn.values()))
    radius = 4.0 if count <= _FEW else 3.6 if count < _MANY else 3.1
    alt = f"Map: {plain(title)}. " + " ".join(f"{plain(name)}: {len(of):,} points." for name, of in groups.items())

    def draw(width: int) -> Markup:
        place = _frame(width, [point for points in groups.values() for point in points])
        behind = [] if rest is None else [dots(place, rest, drawn[rest], _GREY, radius, "0.25")]
        marks = [dots(place, name, drawn[name], looks[name], radius) for name in others]
        names = group(group_names(place, others), class_="names") if len(others) > 1 else Markup()
        return canvas(width, place.height, [*behind, *marks, names], alt=alt)

    rows = [[name, text, x, y] for name, points in groups.items() for x, y, text in points]
    return compose(
        draw,
        title=title,
        table=thinned(["group", "text", "x", "y"], rows),
        caption=caption,
        legend=[(marker_swatch(looks[name]), name) for name in (*others, *([] if rest is None else [rest]))]
        if len(groups) > 1
        else (),
    )


def _frame(width: int, points: list[Point]) -> Frame:
    """A frame of one scale, as high as the points ask for within what a reader likes to look at."""
    low_x, high_x = _ends([x for x, _, _ in points])
    low_y, high_y = _ends([y for _, y, _ in points])
    least, most = (0.4, 0.75) if width >= WIDE else (0.7, 1.2)
    room = width - 2 * _MARGIN
    height = min(max((high_y - low_y) / (high_x - low_x), least), most) * room
    scale = max((high_x - low_x) / room, (high_y - low_y) / height)
    x = _centred(low_x, high_x, scale * room)
    y = _centred(low_y, high_y, scale * height)
    return Frame(width, height + 2 * _MARGIN, _MARGIN, width - _MARGIN, _MARGIN, height + _MARGIN, x, y)


def _ends(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _centred(low: float, high: float, span: float) -> Axis:
    middle = (low + high) / 2
    return Axis(middle - span / 2, middle + span / 2, ())
