"""A map: points in the plane, whose axes have no meaning and one common scale; the pointer shows their texts."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import Axis
from nearfar.reports._frame import Frame
from nearfar.reports._names import name_width
from nearfar.reports._svg import COLOURS, MAX_SERIES, Look, canvas, element, group
from nearfar.reports.figure import WIDE, Drawing, Figure, compose, marker_swatch
from nearfar.reports.numbers import number
from nearfar.reports.tables import thinned
from nearfar.reports.text import plain

Point = tuple[float, float, str]
"""(x, y, text)."""
MOST = 3000
"""Maximum number of dots in one image: more make the page large and the image no clearer."""
_MARGIN = 10.0
_LOOKS = [Look(i) for i in range(MAX_SERIES) if i % COLOURS != COLOURS - 1]
"""All looks except the grey ones; grey is the last colour."""
_GREY = Look(COLOURS - 1)
_FEW, _MANY = 300, 1500
"""Dots are largest for at most ``_FEW`` of them, and smallest from ``_MANY``."""


def flat_map(
    series: Mapping[str, Iterable[Point]],
    *,
    title: str,
    caption: str = "",
    rest: str | None = None,
    most: int = MOST,
) -> Figure:
    """A dot for each point, without axes; each group has a colour, and its name at the median of its points.

    Args:
        series: For each group its points; the pointer shows their texts.
        title: What the figure shows.
        caption: How to read the figure.
        rest: The group of all other points: pale grey, behind the others, and not named on the map.
        most: Maximum number of dots. If there are more points, an evenly spaced part of each group is drawn, and the
            caption says so.

    Raises:
        ValueError: There is no group or too many, one has no points, or a number is not finite.
    """
    where = f"flat_map {title!r}"
    groups = _check.each(series, where, _points, most=len(_LOOKS))
    others = {name: points for name, points in groups.items() if name != rest}
    looks = dict(zip(others, _LOOKS, strict=False)) | ({} if rest is None else {rest: _GREY})
    drawn, caption = _thinned(groups, most, caption)
    count = sum(map(len, drawn.values()))
    radius = 4.0 if count <= _FEW else 3.6 if count < _MANY else 3.1
    alt = f"Map: {plain(title)}. " + " ".join(f"{plain(name)}: {len(of):,} points." for name, of in groups.items())

    def draw(width: int) -> Drawing:
        place = _frame(width, [point for points in groups.values() for point in points])
        behind = [] if rest is None else [_dots(place, rest, drawn[rest], _GREY, radius, "0.25")]
        marks = [_dots(place, name, drawn[name], looks[name], radius) for name in others]
        names = group(_names(place, others), class_="names") if len(others) > 1 else Markup()
        return Drawing(canvas(width, place.height, [*behind, *marks, names], alt=alt))

    rows = [[name, text, x, y] for name, points in groups.items() for x, y, text in points]
    legend = [(marker_swatch(look), name) for name, look in looks.items()]
    return compose(
        draw,
        title=title,
        table=thinned(["group", "text", "x", "y"], rows),
        caption=caption,
        legend=legend if len(groups) > 1 else (),
    )


def _frame(width: int, points: list[Point]) -> Frame:
    """A frame with one scale for both axes; its height follows the points within limits of the aspect ratio."""
    low_x, high_x = _ends([x for x, _, _ in points])
    low_y, high_y = _ends([y for _, y, _ in points])
    least, most = (0.4, 0.75) if width >= WIDE else (0.7, 1.2)
    room = width - 2 * _MARGIN
    height = min(max((high_y - low_y) / (high_x - low_x), least), most) * room
    scale = max((high_x - low_x) / room, (high_y - low_y) / height)
    x = _centred(low_x, high_x, scale * room)
    y = _centred(low_y, high_y, scale * height)
    return Frame(width, height + 2 * _MARGIN, _MARGIN, width - _MARGIN, _MARGIN, height + _MARGIN, x, y)


def _points(points: Iterable[Point], where: str) -> list[Point]:
    """The points with their coordinates as floats.

    Raises:
        ValueError: There is none, or a number is not finite.
    """
    triples = list(points)
    xs = _check.finite((x for x, _, _ in triples), f"{where}, x")
    ys = _check.finite((y for _, y, _ in triples), f"{where}, y")
    return list(zip(xs, ys, (text for _, _, text in triples), strict=True))


def _thinned(groups: Mapping[str, list[Point]], most: int, caption: str) -> tuple[Mapping[str, list[Point]], str]:
    """At most about ``most`` points, an evenly spaced part of each group, and a caption that says so."""
    total = sum(map(len, groups.values()))
    if total <= most:
        return groups, caption
    drawn = {name: points[:: -(-total // most)] for name, points in groups.items()}
    return drawn, f"{caption} {sum(map(len, drawn.values())):,} of {total:,} points are drawn.".strip()


def _names(place: Frame, groups: Mapping[str, Sequence[Point]]) -> list[Markup]:
    """Group names at the medians of their points, largest group first; a name that would overlap another is omitted."""
    taken: list[tuple[float, float, float, float]] = []
    found = []
    for name, points in sorted(groups.items(), key=lambda item: -len(item[1])):
        text = plain(name)
        half = name_width(text) / 2 + 3
        x = place.px(statistics.median(x for x, _, _ in points))
        y = place.py(statistics.median(y for _, y, _ in points))
        x = min(max(x, half), place.width - half)
        box = (x - half, x + half, y - 9, y + 9)
        clash = any(box[0] < b[1] and b[0] < box[1] and box[2] < b[3] and b[2] < box[3] for b in taken)
        if not clash and x - half >= place.left:
            taken.append(box)
            found.append(element("text", text, x=x, y=y + 4, text_anchor="middle", class_="series"))
    return found


def _dots(
    place: Frame, name: str, points: list[Point], look: Look, radius: float, opacity: str | None = None
) -> Markup:
    """The dots of a group; the pointer shows their texts."""
    marks = [
        look.marker(
            place.px(x),
            place.py(y),
            radius,
            fill_opacity=opacity,
            data_tip=f"{plain(text)}\n{plain(name)}\t{number(x, 3)}, {number(y, 3)}",
        )
        for x, y, text in points
    ]
    return group(marks, class_=f"{look.css} points")


def _ends(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _centred(low: float, high: float, span: float) -> Axis:
    middle = (low + high) / 2
    return Axis(middle - span / 2, middle + span / 2, ())
