"""Points in the plane, coloured by group, each with its text under the pointer."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import linear_axis
from nearfar.reports._frame import Frame, frame
from nearfar.reports._names import name_width
from nearfar.reports.numbers import number
from nearfar.reports._svg import MAX_SERIES, Look, element, group
from nearfar.reports.text import plain
from nearfar.reports.figure import Figure, compose, marker_swatch
from nearfar.reports.tables import thinned

Point = tuple[float, float, str]
MOST = 3000
"""Dots in one picture: more make a large page and no clearer picture."""


def scatter(
    series: Mapping[str, Iterable[Point]],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    caption: str = "",
    most: int = MOST,
) -> Figure:
    """A dot for each (x, y, text).

    Args:
        series: For each group's name its points with the text that the pointer brings up.
        title: What the figure shows.
        x_label: What x measures.
        y_label: What y measures.
        caption: How to read the figure.
        most: Dots to draw. Of more than that an evenly spaced part of each group is drawn, and the caption says so.

    Raises:
        ValueError: There is no group or one has no points, or a number is not finite.
    """
    where = f"scatter {title!r}"
    _check.some(series, f"{where}: series", most=MAX_SERIES)
    groups = {name: checked(points, f"{where}: series {name!r}") for name, points in series.items()}
    xs = [x for points in groups.values() for x, _, _ in points]
    ys = [y for points in groups.values() for _, y, _ in points]
    alt = f"Scatter plot: {plain(title)}. " + " ".join(
        f"{plain(name)}: {len(points):,} points." for name, points in groups.items()
    )

    def draw(width: int) -> Markup:
        make_x, make_y = partial(linear_axis, min(xs), max(xs)), partial(linear_axis, min(ys), max(ys))
        place = frame(width, make_x, make_y, x_label=x_label, y_label=y_label)
        marks = [dots(place, name, points, Look(i)) for i, (name, points) in enumerate(drawn.items())]
        names = group(group_names(place, groups), class_="names") if len(groups) > 1 else Markup()
        return place.picture([*marks, names], x_label=x_label, y_label=y_label, alt=alt)

    drawn, caption = thinned_groups(groups, most, caption)
    rows = [[name, text, x, y] for name, points in groups.items() for x, y, text in points]
    return compose(
        draw,
        title=title,
        table=thinned(["group", "text", x_label or "x", y_label or "y"], rows),
        caption=caption,
        legend=[(marker_swatch(Look(i)), name) for i, name in enumerate(groups)] if len(groups) > 1 else (),
    )


def checked(points: Iterable[Point], where: str) -> list[Point]:
    """The points as they are drawn.

    Raises:
        ValueError: There is none, or a number is not finite.
    """
    triples = list(points)
    xs = _check.finite((x for x, _, _ in triples), f"{where}, x")
    ys = _check.finite((y for _, y, _ in triples), f"{where}, y")
    return list(zip(xs, ys, (text for _, _, text in triples), strict=True))


def thinned_groups(groups: Mapping[str, list[Point]], most: int, caption: str) -> tuple[Mapping[str, list[Point]], str]:
    """At most about ``most`` points, an evenly spaced part of each group, and the caption that says so."""
    total = sum(map(len, groups.values()))
    if total <= most:
        return groups, caption
    drawn = {name: points[:: -(-total // most)] for name, points in groups.items()}
    return drawn, f"{caption} {sum(map(len, drawn.values())):,} of {total:,} points are drawn.".strip()


def group_names(place: Frame, groups: Mapping[str, Sequence[Point]]) -> list[Markup]:
    """The names of the groups in their middles, largest group first; a name that would lie on another is left out."""
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


def dots(
    place: Frame, name: str, points: list[Point], look: Look, radius: float = 4.0, opacity: str | None = None
) -> Markup:
    """The dots of a group, with what the pointer brings up."""
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
