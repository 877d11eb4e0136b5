"""The charts of an inspection's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from nearfar.inspection.measures import MEASURES
from nearfar.reports.charts.flat_map import flat_map
from nearfar.reports.charts.line import line_chart
from nearfar.reports.text import plain

if TYPE_CHECKING:
    from nearfar.inspection.records import Point
    from nearfar.inspection.result import Inspection
    from nearfar.inspection.sizes import AtSize
    from nearfar.reports.figure import Figure

#: Maximum number of dots on a page, in all its maps.
DOTS = 3_000
#: Characters of a text in a tooltip.
TIP = 100
#: Groups of a map with a colour of their own.
GROUPS = 10
#: Maximum number of components of the spectrum.
COMPONENTS = 512

#: (x, y, text) of dots by their group.
Groups = dict[str, list[tuple[float, float, str]]]

#: Measures that share a chart.
_PANELS = (
    ("positive_cosine", "negative_cosine"),
    ("tolerance",),
    ("separation", "false_negative_share", "spearman"),
    ("uniformity", "alignment"),
    ("isotropy", "iso_score"),
    ("effective_rank",),
    ("hubness",),
)


def map_figures(models: Mapping[str, Inspection]) -> list[Figure]:
    """For each model a map by group, and a second by side where the groups are not the sides."""
    maps: list[tuple[str, Groups, str | None]] = []
    for name, each in models.items():
        title = "Map" if len(models) == 1 else f"Map: {name}"
        by_group, rest = grouped((point.group, point) for point in each.points)
        by_side, _ = grouped((point.side, point) for point in each.points)
        maps.append((title, by_group, rest))
        if len(by_side) > 1 and list(by_side) != list(by_group):
            maps.append((f"{title}, by side", by_side, None))
    return [flat_map(groups, title=title, rest=rest, most=DOTS // len(maps)) for title, groups, rest in maps]


def grouped(points: Iterable[tuple[str, Point]]) -> tuple[Groups, str | None]:
    """Dots by group, the largest groups first; beyond `GROUPS` the others as one group, whose name is returned too."""
    found: Groups = {}
    for group, point in points:
        found.setdefault(group, []).append((point.x, point.y, cut(point.text, TIP)))
    order = sorted(found, key=lambda group: -len(found[group]))
    if len(order) <= GROUPS + 1:
        return {group: found[group] for group in order}, None
    rest = f"{len(order) - GROUPS} other labels"
    kept = {group: found[group] for group in order[:GROUPS]}
    return kept | {rest: [dot for group in order[GROUPS:] for dot in found[group]]}, rest


def spectrum_figure(models: Mapping[str, Inspection]) -> Figure | None:
    """Cumulative variance by number of components; None where no model has any variance."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, each in models.items():
        if each.spectrum:
            shares = accumulate(each.spectrum[:COMPONENTS])
            lines[name] = [(float(number), 100 * share) for number, share in enumerate(shares, 1)]
    if not lines:
        return None
    return line_chart(lines, title="Variance explained", x_label="principal components", y_label="share in %")


def size_figures(models: Mapping[str, Inspection]) -> dict[str, list[Figure]]:
    """The measures by `layers` and by `dims`, where they were measured."""
    found = {}
    for axis, x_label in (("layers", "layers"), ("dims", "dimensions")):
        sizes = {name: each.layers if axis == "layers" else each.sizes for name, each in models.items()}
        sizes = {name: each for name, each in sizes.items() if each}
        if sizes:
            panels = [(keys, _lines(sizes, keys, axis)) for keys in _PANELS]
            found[axis] = [
                line_chart(lines, title=_title(keys, sizes), x_label=x_label)
                for keys, lines in panels
                if any(len(points) > 1 for points in lines.values())
            ]
    return found


def cut(text: str, most: int) -> str:
    """A text without control characters, truncated to `most` characters."""
    text = plain(text)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _title(keys: Sequence[str], sizes: Mapping[str, list[AtSize]]) -> str:
    there = [key for key in keys if any(size.measures[key] is not None for each in sizes.values() for size in each)]
    *others, last = [MEASURES[key].name for key in there]
    title = f"{', '.join(others)} and {last}" if others else last
    return title[:1].upper() + title[1:]


def _lines(sizes: Mapping[str, list[AtSize]], keys: Sequence[str], axis: str) -> dict[str, list[tuple[float, float]]]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for key in keys:
        for name, each in sizes.items():
            points = [
                (float(size.layers or 0) if axis == "layers" else float(size.dims), value)
                for size in each
                if (value := size.measures[key]) is not None
            ]
            if points:
                measure = MEASURES[key].name
                lines[measure if len(sizes) == 1 else f"{measure}: {name}"] = points
    return lines
