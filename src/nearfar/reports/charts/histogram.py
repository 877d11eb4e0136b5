"""Distributions drawn over each other."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping
from functools import partial

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import Step, linear_axis, nice_step
from nearfar.reports._frame import Frame, frame, pointer_columns
from nearfar.reports._svg import COLOURS, Look, element, group, path
from nearfar.reports.figure import Drawing, Figure, area_swatch, compose
from nearfar.reports.numbers import fixed, number
from nearfar.reports.tables import thinned
from nearfar.reports.text import plain


def histogram(
    series: Mapping[str, Iterable[float]],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "share in %",
    caption: str = "",
    bins: int | None = None,
) -> Figure:
    """Overlaid histograms with common bins, each scaled to 100% to compare samples of different sizes.

    A dotted line marks the median of each series; the legend names the series and its median.

    Args:
        series: For each name its values.
        title: What the figure shows.
        x_label: The measured quantity.
        y_label: Name of the vertical axis, which is always a share in percent.
        caption: How to read the figure.
        bins: Approximate number of bins: their width is the next 1-2-5 step. Default: from the smallest sample.

    Raises:
        ValueError: There is no series or one has no values, a value is not finite, or ``bins`` is less than 1.
    """
    where = f"histogram {title!r}"
    samples = _check.each(series, where, _check.finite, most=COLOURS)
    if bins is not None and bins < 1:
        raise ValueError(f"{where}: invalid bins {bins}: must be at least 1")
    low, high = min(map(min, samples.values())), max(map(max, samples.values()))
    step, first, last = _binning(low, high, bins or _default_bins(min(map(len, samples.values()))))
    edges = [step.times(k) for k in range(first, last + 1)]
    counts = {name: _count(values, step, first, last) for name, values in samples.items()}
    shares = {name: [100 * c / len(samples[name]) for c in of] for name, of in counts.items()}
    medians = {name: statistics.median(values) for name, values in samples.items()}
    shown = {name: fixed(median, max(0, 1 - step.exponent)) for name, median in medians.items()}
    alt = f"Histogram: {plain(title)}. " + " ".join(
        f"{plain(name)}: median {shown[name]} of {len(values):,} values." for name, values in samples.items()
    )

    def draw(width: int) -> Drawing:
        make_x = partial(linear_axis, edges[0], edges[-1], snap=False)
        make_y = partial(linear_axis, 0.0, max(map(max, shares.values())))
        place = frame(width, make_x, make_y, x_label=x_label, y_label=y_label)
        shapes = [_shape(place, edges, of, Look(i)) for i, of in enumerate(shares.values())]
        lines = [_median(place, median, Look(i)) for i, median in enumerate(medians.values())]
        content = [*shapes, *lines, _tips(place, step, edges, shares)]
        return Drawing(place.image(content, x_label=x_label, y_label=y_label, alt=alt))

    columns = ["from", "to", *(f"{plain(name)} {unit}" for name in samples for unit in ("count", "%"))]
    rows = [
        [edges[i], edges[i + 1], *(value for name in samples for value in (counts[name][i], shares[name][i]))]
        for i in range(len(edges) - 1)
    ]
    legend = [(area_swatch(Look(i), "area"), f"{plain(name)}, median {shown[name]}") for i, name in enumerate(samples)]
    return compose(draw, title=title, table=thinned(columns, rows), caption=caption, legend=legend)


def _default_bins(smallest: int) -> int:
    """Rice's rule and half as many again, because steps are rounded up; between 12 and 60 bins."""
    return min(60, max(12, round(3 * smallest ** (1 / 3))))


def _binning(low: float, high: float, count: int) -> tuple[Step, int, int]:
    """The width of the bins, and the first and the last edge as multiples of it."""
    axis = linear_axis(low, high, count)
    step = nice_step(axis.high - axis.low, count)
    first, last = step.below(low), step.above(high)
    return (step, first, last) if last > first else (step, first - 1, first + 1)


def _count(values: list[float], step: Step, first: int, last: int) -> list[int]:
    """Values per bin; a bin includes its lower edge, the last bin its upper edge too."""
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


def _median(place: Frame, median: float, look: Look) -> Markup:
    x = place.px(median)
    return group([element("line", x1=x, x2=x, y1=place.top, y2=place.bottom, class_="middle")], class_=look.css)


def _tips(place: Frame, step: Step, edges: list[float], shares: Mapping[str, list[float]]) -> Markup:
    tips = []
    for i, (left, right) in enumerate(itertools.pairwise(edges)):
        largest = max(abs(left), abs(right))
        head = f"{step.label(left, largest)} to {step.label(right, largest)}"
        tips.append("\n".join([head, *(f"{plain(name)}\t{number(of[i], 3)}%" for name, of in shares.items())]))
    centres = [place.px((left + right) / 2) for left, right in itertools.pairwise(edges)]
    return pointer_columns(place, centres, tips)
