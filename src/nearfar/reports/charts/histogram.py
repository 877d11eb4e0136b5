"""Distributions laid over each other."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping
from functools import partial

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import Step, linear_axis, nice_step
from nearfar.reports._frame import Frame, frame, pointer_columns
from nearfar.reports._names import name_width
from nearfar.reports.numbers import fixed, number
from nearfar.reports._svg import COLOURS, Look, element, group, path
from nearfar.reports.text import plain
from nearfar.reports.figure import Figure, area_swatch, compose
from nearfar.reports.tables import thinned

_ROW = 18.0
"""Height in pixels of a name above the plot."""


def histogram(
    series: Mapping[str, Iterable[float]],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "share in %",
    caption: str = "",
    bins: int | None = None,
) -> Figure:
    """Overlaid histograms with common bins, each scaled to 100%, so that samples of different sizes compare.

    Args:
        series: For each name its values.
        title: What the figure shows.
        x_label: What the values measure.
        y_label: Name of the vertical axis, which is always a share in percent.
        caption: How to read the figure.
        bins: Number of bins, about: their width is the next 1-2-5 step. By default it follows the smallest sample.

    Raises:
        ValueError: There is no series or one has no values, or a value is not finite.
    """
    where = f"histogram {title!r}"
    _check.some(series, f"{where}: series", most=COLOURS)
    samples = {name: _check.finite(values, f"{where}: series {name!r}") for name, values in series.items()}
    if bins is not None and bins < 1:
        raise ValueError(f"{where}: {bins} bins; at least 1 is needed")
    low, high = min(map(min, samples.values())), max(map(max, samples.values()))
    count = bins or _default_bins(min(map(len, samples.values())))
    step, first, last = _binning(low, high, count)
    counts = {name: _count(values, step, first, last) for name, values in samples.items()}
    shares = {name: [100 * c / len(samples[name]) for c in of] for name, of in counts.items()}
    edges = [step.times(k) for k in range(first, last + 1)]
    medians = {name: statistics.median(values) for name, values in samples.items()}
    middle = {name: fixed(m, max(0, 1 - step.exponent)) for name, m in medians.items()}
    alt = f"Histogram: {plain(title)}. " + " ".join(
        f"{plain(name)}: median {middle[name]} of {len(values):,} values." for name, values in samples.items()
    )

    names = [f"{plain(name)}, median {middle[name]}" for name in samples]
    short = [f"{plain(name)} {middle[name]}" for name in samples]
    make_x = partial(linear_axis, edges[0], edges[-1], snap=False)
    make_y = partial(linear_axis, 0.0, max(map(max, shares.values())))
    middles = list(medians.values())

    def layout(width: int) -> tuple[Frame, Markup | None]:
        """The frame, and the medians' lines with names; None where names would be run through."""
        above = _ROW * len(names) + 4
        place = frame(width, make_x, make_y, x_label=x_label, y_label=y_label, above=above)
        for shown in (names, short):
            if (drawn := _named_medians(place, middles, shown, place.top - above)) is not None:
                return place, drawn
        return frame(width, make_x, make_y, x_label=x_label, y_label=y_label), None

    def draw(width: int) -> Markup:
        place, named = layout(width)
        shapes = [_shape(place, edges, of, Look(i)) for i, of in enumerate(shares.values())]
        lines = [_median(place, place.top, m, Look(i)) for i, m in enumerate(middles)] if named is None else [named]
        content = [*shapes, *lines, _tips(place, step, edges, shares)]
        return place.picture(content, x_label=x_label, y_label=y_label, alt=alt)

    columns = ["from", "to", *(f"{plain(name)} {unit}" for name in samples for unit in ("count", "%"))]
    rows = [
        [edges[i], edges[i + 1], *(value for name in samples for value in (counts[name][i], shares[name][i]))]
        for i in range(len(edges) - 1)
    ]
    legend = [(area_swatch(Look(i), "area"), name) for i, name in enumerate(names)]
    return compose(
        draw,
        title=title,
        table=thinned(columns, rows),
        caption=caption,
        legend=legend,
        named=lambda w: layout(w)[1] is not None,
    )


def _default_bins(smallest: int) -> int:
    """Rice's rule and half as many again, since steps are rounded up; between 12 bins and 60."""
    return min(60, max(12, round(3 * smallest ** (1 / 3))))


def _binning(low: float, high: float, count: int) -> tuple[Step, int, int]:
    """The bins' width, and the first and the last edge in steps of it."""
    axis = linear_axis(low, high, count)
    step = nice_step(axis.high - axis.low, count)
    first, last = step.below(low), step.above(high)
    return (step, first, last) if last > first else (step, first - 1, first + 1)


def _count(values: list[float], step: Step, first: int, last: int) -> list[int]:
    """Values per bin; each bin holds its lower edge, the last one its upper edge too."""
    counts = [0] * (last - first)
    for value in values:
        counts[min(max(step.below(value) - first, 0), len(counts) - 1)] += 1
    return counts


def _shape(place: Frame, edges: list[float], shares: list[float], look: Look) -> Markup:
    outline = [(place.px(edges[0]), place.bottom)]
    for left, right, share in zip(edges, edges[1:], shares, strict=False):
        outline += [(place.px(left), place.py(share)), (place.px(right), place.py(share))]
    outline.append((place.px(edges[-1]), place.bottom))
    return group([path(outline, class_="area"), path(outline, class_="outline")], class_=look.css)


def _median(place: Frame, top: float, median: float, look: Look) -> Markup:
    x = place.px(median)
    return group([element("line", x1=x, x2=x, y1=top, y2=place.bottom, class_="middle")], class_=look.css)


def _named_medians(place: Frame, medians: list[float], names: list[str], top: float) -> Markup | None:
    """Each median's line, from a row of its own in which the name stands beside it.

    Names of the lower half end at their line and those of the upper half begin at it, as far as there is room, and the
    rows are dealt so that no line runs through a name; None where it cannot be.
    """
    lower = sorted(range(len(medians)), key=medians.__getitem__)[: len(medians) // 2]
    columns = [place.px(median) for median in medians]
    boxes = []
    for i, (x, name) in enumerate(zip(columns, names, strict=True)):
        length = name_width(name)
        sides = [(x - 6 - length, "end"), (x + 6, "start")]
        fits = [(at, anchor) for at, anchor in sides if 0 <= at <= place.width - length]
        if not fits:
            return None
        at, anchor = fits[0] if i in lower else fits[-1]
        boxes.append((at, at + length, anchor))

    def crossed(rows: tuple[int, ...]) -> int:
        pairs = itertools.permutations(range(len(rows)), 2)
        return sum(rows[j] < rows[i] and boxes[i][0] < columns[j] < boxes[i][1] for i, j in pairs)

    rows = min(itertools.permutations(range(len(names))), key=crossed)
    if crossed(rows):
        return None
    lines = [_median(place, top + _ROW * rows[i], median, Look(i)) for i, median in enumerate(medians)]
    texts = [
        element(
            "text",
            name,
            x=end if anchor == "end" else start,
            y=top + _ROW * rows[i] + 12,
            text_anchor=anchor,
            class_="series",
        )
        for i, (name, (start, end, anchor)) in enumerate(zip(names, boxes, strict=True))
    ]
    return group([*lines, *texts])


def _tips(place: Frame, step: Step, edges: list[float], shares: Mapping[str, list[float]]) -> Markup:
    tips = []
    for i, (left, right) in enumerate(itertools.pairwise(edges)):
        largest = max(abs(left), abs(right))
        head = f"{step.label(left, largest)} to {step.label(right, largest)}"
        tips.append("\n".join([head, *(f"{plain(name)}\t{number(of[i], 3)}%" for name, of in shares.items())]))
    centres = [place.px((left + right) / 2) for left, right in itertools.pairwise(edges)]
    return pointer_columns(place, centres, tips)
