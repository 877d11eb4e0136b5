"""Values against steps, one line per series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import linear_axis, log_axis
from nearfar.reports._frame import Frame, frame, pointer_columns
from nearfar.reports._names import beside, beside_width
from nearfar.reports._svg import MAX_SERIES, Look, group, path
from nearfar.reports.figure import Drawing, Figure, compose, line_swatch
from nearfar.reports.numbers import number, whole
from nearfar.reports.tables import thinned
from nearfar.reports.text import plain

Points = list[tuple[float, float]]
_MARKED = 24
"""Maximum number of points of a line that shows each point with a marker."""


def line_chart(
    series: Mapping[str, Iterable[tuple[float, float]]],
    *,
    title: str,
    x_label: str = "step",
    y_label: str = "",
    caption: str = "",
    log_y: bool = False,
) -> Figure:
    """Lines through (x, y) points.

    Args:
        series: For each name its points, drawn in ascending order of x; series may have different x.
        title: What the figure shows.
        x_label: Name of the x axis.
        y_label: Name of the y axis, with its unit.
        caption: How to read the figure.
        log_y: Whether the y axis is logarithmic.

    Raises:
        ValueError: There is no series or one has no points, a number is not finite, or y is not positive with
            ``log_y``.
    """
    where = f"line_chart {title!r}"
    lines = _check.each(series, where, _points, most=MAX_SERIES)
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points]
    if log_y and min(ys) <= 0:
        raise ValueError(f"{where}: expected positive numbers for a logarithmic axis, got {min(ys):g}; remove log_y")
    values = {name: dict(points) for name, points in lines.items()}
    rows = [[x, *(of.get(x) for of in values.values())] for x in map(whole, xs)]
    alt = f"Line chart: {plain(title)}. " + " ".join(_story(name, points) for name, points in lines.items())
    names = [plain(name) for name in lines]
    marked = {name: len(points) <= _MARKED for name, points in lines.items()}

    def draw(width: int) -> Drawing:
        make_x = partial(linear_axis, xs[0], xs[-1], snap=False, whole=all(x == int(x) for x in xs))
        make_y = partial(log_axis if log_y else linear_axis, min(ys), max(ys))
        room = beside_width(names, width)
        place = frame(width, make_x, make_y, x_label=x_label, y_label=y_label, beside=room)
        drawn = [_line(place, points, Look(i), marked=marked[name]) for i, (name, points) in enumerate(lines.items())]
        if room:
            ends = [(place.px(points[-1][0]), place.py(points[-1][1])) for points in lines.values()]
            drawn.append(beside(names, ends, width - room, place.top, place.bottom))
        content = [*drawn, _tips(place, xs, values, x_label)]
        return Drawing(place.image(content, x_label=x_label, y_label=y_label, alt=alt), named=room > 0)

    legend = [(line_swatch(Look(i), marker=marked[name]), name) for i, name in enumerate(lines)]
    return compose(
        draw,
        title=title,
        table=thinned([x_label or "x", *lines], rows),
        caption=caption,
        legend=legend if len(lines) > 1 else (),
    )


def _points(points: Iterable[tuple[float, float]], where: str) -> Points:
    pairs = list(points)
    xs = _check.finite((x for x, _ in pairs), f"{where}, x")
    ys = _check.finite((y for _, y in pairs), f"{where}, y")
    return sorted(zip(xs, ys, strict=True), key=lambda point: point[0])


def _story(name: str, points: Points) -> str:
    (x0, y0), (x1, y1) = points[0], points[-1]
    return f"{plain(name)}: {number(y0)} at {number(whole(x0))}, {number(y1)} at {number(whole(x1))}."


def _line(place: Frame, points: Points, look: Look, *, marked: bool) -> Markup:
    pixels = _decimated([(place.px(x), place.py(y)) for x, y in points])
    line = (
        [path(pixels, class_="line" if marked else "line dense", stroke_dasharray=look.dash)] if len(pixels) > 1 else []
    )
    marks = [look.marker(x, y, 3.5, class_="mark") for x, y in pixels] if marked else []
    return group([*line, *marks], class_=look.css)


def _decimated(pixels: Points) -> Points:
    """The first, lowest, highest and last point of each pixel column: the line looks the same in fewer bytes."""
    columns: dict[int, Points] = {}
    for point in pixels:
        columns.setdefault(round(point[0]), []).append(point)
    kept = []
    for column in columns.values():
        indices = range(len(column))
        low = min(indices, key=lambda i, c=column: c[i][1])
        high = max(indices, key=lambda i, c=column: c[i][1])
        kept += [column[i] for i in sorted({0, low, high, len(column) - 1})]
    return kept


def _tips(place: Frame, xs: list[float], values: Mapping[str, Mapping[float, float]], x_label: str) -> Markup:
    """At most one pointer column per three pixels, at the x that most series share."""
    buckets: dict[int, float] = {}

    def shared(x: float) -> int:
        return sum(x in of for of in values.values())

    for x in xs:
        bucket = int(place.px(x) // 3)
        if bucket not in buckets or shared(x) > shared(buckets[bucket]):
            buckets[bucket] = x
    tips, marks = [], []
    for x in buckets.values():
        present = [(i, name, of[x]) for i, (name, of) in enumerate(values.items()) if x in of]
        head = f"{plain(x_label)} {number(whole(x))}".strip()
        tips.append("\n".join([head, *(f"{plain(name)}\t{number(y)}" for _, name, y in present)]))
        dots = [Look(i).marker(place.px(x), place.py(y), 4.0, class_=f"mark {Look(i).css}") for i, _, y in present]
        marks.append(Markup("").join(dots))
    return pointer_columns(place, [place.px(x) for x in buckets.values()], tips, marks)
